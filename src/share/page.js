'use strict';
const audio=document.querySelector('audio'),state=document.querySelector('#state');
audio.addEventListener('error',async()=>{
state.textContent='Playing has stopped. Looking why\u2026';
try{const answer=await fetch(location.href,{headers:{accept:'text/html'},cache:'no-store'});
if(answer.ok){state.textContent='Playing has stopped. Check your connection, then reload this page.';return}
const page=new DOMParser().parseFromString(await answer.text(),'text/html');
document.querySelector('main').replaceWith(page.querySelector('main'));
document.querySelector('h1').tabIndex=-1;document.querySelector('h1').focus()}
catch{state.textContent='Playing has stopped, and the page cannot be reached. Check your connection.'}});
