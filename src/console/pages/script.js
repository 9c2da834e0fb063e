// What a page does beyond being read. Without this everything can still be read and sent.
'use strict';

// The bars of a timeline: dragged over, they choose a span. Each of them is a link already.
for (const svg of document.querySelectorAll('.timeline svg')) {
  const bars = [...svg.querySelectorAll('a[data-since]')];
  let from = null;
  let start = 0;
  let moved = false;
  const at = (event) => {
    const x = event.clientX;
    const middle = (bar) => {
      const { left, right } = bar.getBoundingClientRect();
      return (left + right) / 2;
    };
    return bars.reduce((near, bar, place) =>
      Math.abs(middle(bar) - x) < Math.abs(middle(bars[near]) - x) ? place : near, 0);
  };
  const chosen = (to) => bars.filter((_, place) => place >= Math.min(from, to) && place <= Math.max(from, to));
  svg.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || bars.length === 0) return;
    [from, start, moved] = [at(event), event.clientX, false];
  });
  svg.addEventListener('dragstart', (event) => event.preventDefault());
  addEventListener('pointermove', (event) => {
    if (from === null) return;
    moved = moved || Math.abs(event.clientX - start) > 4;
    const taken = chosen(at(event));
    for (const bar of bars) bar.classList.toggle('taken', taken.includes(bar));
  });
  addEventListener('pointerup', (event) => {
    if (from === null) return;
    const taken = chosen(at(event));
    from = null;
    for (const bar of bars) bar.classList.remove('taken');
    if (!moved) return;
    const asked = new URL(taken[0].href.baseVal ?? taken[0].href, location.href);
    asked.searchParams.set('since', taken[0].dataset.since);
    asked.searchParams.set('until', taken.at(-1).dataset.until);
    location.assign(asked);
  });
  svg.addEventListener('click', (event) => { if (moved) event.preventDefault(); }, true);
}

// A draft is checked while it is written; a line that is wrong is one click away.
for (const form of document.querySelectorAll('form[data-findings]')) {
  const found = document.getElementById('findings');
  const status = document.getElementById('checking');
  let waiting;
  let asked = 0;
  const check = async () => {
    const mine = ++asked;
    status.textContent = 'Checking…';
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.dataset.findings, { method: 'POST', body });
      const text = await answer.text();
      // What was typed since is checked by a later question.
      if (mine !== asked) return;
      if (answer.ok) found.innerHTML = text;
      status.textContent = answer.ok ? 'Checked as it is above; not kept yet.' : 'It could not be checked. Keep it, and look again.';
    } catch {
      if (mine === asked) status.textContent = 'The console cannot be reached.';
    }
  };
  form.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(check, 600);
  });
  found.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-line]');
    if (!link) return;
    event.preventDefault();
    const area = document.getElementById(link.dataset.field);
    const before = area.value.split('\n').slice(0, link.dataset.line - 1).join('\n');
    const start = before.length + (link.dataset.line > 1 ? 1 : 0);
    const end = area.value.indexOf('\n', start);
    area.focus();
    area.setSelectionRange(start, end < 0 ? area.value.length : end);
    area.scrollTop = area.scrollHeight * (link.dataset.line - 4) / area.value.split('\n').length;
  });
}
