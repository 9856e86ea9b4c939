// What the other files make elements with. Text from outside gets into the
// document as text only.

/** el makes an element; children are elements and texts. */
export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  set(e, props);
  e.append(...children);
  return e;
}

/** svg makes an element of a drawing. */
export function svg(tag, props = {}, ...children) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', tag);
  set(e, props);
  e.append(...children);
  return e;
}

function set(e, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) e.setAttribute(name, value === true ? '' : value);
  }
}

export const byId = (id) => document.getElementById(id);

/** say changes a text if it is another one, so that nothing is announced twice. */
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/** The states of a node, with the sign that each has. */
export const states = [
  { name: 'failed', sign: '✗' },
  { name: 'timed out', sign: '⧗' },
  { name: 'closing', sign: '◼' },
  { name: 'running', sign: '▶' },
  { name: 'ready', sign: '◉' },
  { name: 'pending', sign: '○' },
  { name: 'succeeded', sign: '✓' },
  { name: 'cancelled', sign: '⊘' },
  { name: 'skipped', sign: '↷' },
];

/** The order in which they are stacked: what is over first, what is to come last. */
const stackOrder = ['succeeded', 'failed', 'timed out', 'cancelled', 'skipped', 'closing', 'ready', 'running', 'pending'];

/** stack returns the states that are counted, in that order; those that the page
 * does not know come last. */
export const stack = (counts) => [...stackOrder, ...Object.keys(counts).filter((s) => !stackOrder.includes(s))].filter((s) => counts[s]);

const over = new Set(['succeeded', 'failed', 'timed out', 'cancelled', 'skipped']);

/** ended returns how many of the nodes counted have ended. */
export const ended = (counts) => Object.entries(counts).reduce((sum, [s, n]) => sum + (over.has(s) ? n : 0), 0);
const signs = new Map(states.map((s) => [s.name, s.sign]));

export const signOf = (state) => signs.get(state) ?? '●';
export const classOf = (state) => state.replaceAll(' ', '-');
export const sign = (state) => el('span', { class: 'sign ' + classOf(state), 'aria-label': state, role: 'img' }, signOf(state));
export const nameOf = (name) => (name === '' ? '(empty)' : name);

/** duration says a time in milliseconds. */
export function duration(ms) {
  if (ms < 0) ms = 0;
  if (ms < 1) return ms === 0 ? '0 s' : '<1 ms';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10e3) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  const two = (n) => String(n).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export const count = (n) => n.toLocaleString('en');

/** later calls f once in the next frame, however often it is asked. */
export function later(f) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      f();
    });
  };
}

/** stacked fills an element with a part for each state, as wide as it is frequent. */
export function stacked(e, counts, total) {
  const shown = stack(counts);
  const key = shown.map((s) => s + counts[s]).join();
  if (e.dataset.key === key) return;
  e.dataset.key = key;
  e.replaceChildren(...shown.map((s) => {
    const part = el('i', { class: classOf(s) });
    part.style.width = `${(100 * counts[s]) / total}%`;
    return part;
  }));
}
