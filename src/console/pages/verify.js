// Verifies by itself that an entry stands in the ledger: nothing of what the server says is believed
// but what hashes and the signature show. RFC 6962 for the tree, C2SP's tlog-proof, tlog-checkpoint
// and signed-note for the texts.
'use strict';

(() => {
  const button = document.querySelector('[data-verify]');
  const place = document.getElementById('verified');
  if (!button || !place || !globalThis.crypto?.subtle) return;
  button.hidden = false;

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const base64Of = (bytes) => btoa(String.fromCharCode(...bytes));
  const utf8 = (text) => new TextEncoder().encode(text);
  const sha256 = async (...parts) => {
    const all = new Uint8Array(await new Blob(parts).arrayBuffer());
    return new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  };
  const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

  // The root that follows from a leaf and the hashes on its way up (RFC 9162, section 2.1.3.2).
  async function rootOf(leaf, index, size, path) {
    if (index >= size) throw new Error('the entry is beyond the end of the signed tree');
    let [fn, sn, hash] = [index, size - 1n, leaf];
    for (const other of path) {
      if (sn === 0n) throw new Error('the proof is too long');
      if (fn & 1n || fn === sn) {
        hash = await sha256(Uint8Array.of(1), other, hash);
        while (!(fn & 1n) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
      } else {
        hash = await sha256(Uint8Array.of(1), hash, other);
      }
      fn >>= 1n; sn >>= 1n;
    }
    if (sn !== 0n) throw new Error('the proof is too short');
    return hash;
  }

  // True, false, or nothing where this browser does not know Ed25519.
  async function isSigned(note, key) {
    const [name, id, ...rest] = key.trim().split('+');
    const raw = bytesOf(rest.join('+'));
    const own = (await sha256(utf8(`${name}\n`), raw)).slice(0, 4);
    const hex = [...own].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    if (raw[0] !== 1 || hex !== id) throw new Error('the key is no Ed25519 key of this name');
    const end = note.lastIndexOf('\n\n');
    const [text, lines] = [note.slice(0, end + 1), note.slice(end + 2).trim().split('\n')];
    const found = lines.map((line) => line.split(' ')).filter(([dash, by]) => dash === '\u2014' && by === name);
    const signatures = found.map((line) => bytesOf(line[2])).filter((bytes) => same(bytes.slice(0, 4), own));
    if (signatures.length === 0) throw new Error(`the checkpoint is not signed by ${name}`);
    let imported;
    try {
      imported = await crypto.subtle.importKey('raw', raw.slice(1), { name: 'Ed25519' }, false, ['verify']);
    } catch {
      return undefined;
    }
    return crypto.subtle.verify({ name: 'Ed25519' }, imported, signatures[0].slice(4), utf8(text));
  }

  async function verify() {
    const answer = await fetch(button.dataset.verify, { headers: { accept: 'application/json' } });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.detail ?? told.title ?? `the gate answered ${answer.status}`);
    const steps = [];
    const entry = bytesOf(told.entry);
    if (entry.length === 0) throw new Error('the entry was pruned, and only its hash is left');
    const leaf = await sha256(Uint8Array.of(0), entry);
    const shown = document.getElementById('entry').textContent;
    if (!same(entry, utf8(shown))) throw new Error('the text below is not the entry that is proven');
    if (base64Of(leaf) !== button.dataset.leaf) throw new Error('the hash above is not the hash of the entry');
    steps.push('The text below is the entry, byte for byte, and the hash above is its SHA-256.');
    const gap = told.proof.indexOf('\n\n');
    const [head, note] = [told.proof.slice(0, gap).split('\n'), told.proof.slice(gap + 2)];
    const at = head.findIndex((line) => line.startsWith('index '));
    const index = BigInt(head[at].slice('index '.length));
    const path = head.slice(at + 1).map(bytesOf);
    const [origin, size, root] = note.split('\n');
    const computed = await rootOf(leaf, index, BigInt(size), path);
    if (!same(computed, bytesOf(root))) throw new Error('the hashes do not lead to the signed root');
    steps.push(`From it, ${path.length} hashes lead to the root of the first ${size} entries of ${origin}: it is number ${index} among them.`);
    const signed = await isSigned(note, told.key);
    if (signed === false) throw new Error('the signature of the root is false');
    if (signed) steps.push('That root is signed with the key below (Ed25519).');
    return { steps, key: told.key.trim(), signed };
  }

  function tell(looks, title, lines, key) {
    const box = document.createElement('div');
    box.className = `note ${looks}`;
    const head = document.createElement('p');
    const strong = document.createElement('strong');
    strong.textContent = title;
    head.append(strong);
    const list = document.createElement('ol');
    for (const line of lines) {
      const item = document.createElement('li');
      item.textContent = line;
      list.append(item);
    }
    box.append(head, list);
    if (key) {
      const about = document.createElement('p');
      const code = document.createElement('code');
      code.textContent = key;
      about.append('The key, as this gate tells it: ', code, '. It proves something only if it is the key that you keep yourself: compare them.');
      box.append(about);
    }
    place.replaceChildren(box);
  }

  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      const { steps, key, signed } = await verify();
      if (signed) tell('good', 'Verified in this browser.', steps, key);
      else tell('warn', 'Verified but for the signature: this browser does not know Ed25519.', steps, key);
    } catch (error) {
      tell('bad', 'NOT verified.', [error.message]);
    }
    button.disabled = false;
  });
})();
