'use strict';
const audio=document.querySelector('audio'),state=document.querySelector('#state');
let looked=0;
async function look(broken){
if(broken)state.textContent='Playing has stopped. Looking why\u2026';
try{const answer=await fetch(location.href,{headers:{accept:'text/html'},cache:'no-store'});
if(answer.ok){if(broken)state.textContent='Playing has stopped. Check your connection, then reload this page.';return}
const page=new DOMParser().parseFromString(await answer.text(),'text/html');
document.querySelector('main').replaceWith(page.querySelector('main'));
const head=document.querySelector('h1');head.tabIndex=-1;head.focus()}
catch{if(broken)state.textContent='Playing has stopped, and the page cannot be reached. Check your connection.'}}
audio.addEventListener('error',()=>look(true));
// A browser that is given no more may wait for ever without calling it an error.
for(const name of ['waiting','stalled','suspend'])audio.addEventListener(name,()=>{
if(Date.now()-looked>2000){looked=Date.now();look(false)}});
