// The page: what is on it, and what belongs to no part alone.

import { byId, say, classOf, duration, count, stacked, ended, nameOf } from './dom.js';
import { Model } from './model.js';
import { Runs } from './runs.js';
import { List } from './list.js';
import { Graph } from './graph.js';
import { TimeLine } from './timeline.js';
import { NodePage, chain } from './node.js';

const model = new Model();
let selected = null; // a node of the run that is looked at
let view = 'graph';
let shownRun = 0;
let shownError = '';

const runs = new Runs(model);
const list = new List(model, pick);
const graph = new Graph(model, pick, (text) => {
  byId('search').value = text.replace(/\d+.*$/, '');
  byId('search').dispatchEvent(new Event('input'));
});
const timeline = new TimeLine(model, pick);
const node = new NodePage(model, pick);

/** pick selects a node, or none. */
function pick(id) {
  selected = id === selected ? selected : id;
  if (id !== null) {
    model.chosen = true; // nobody takes away what is being read
    list.reveal(id);
    graph.reveal(id);
    timeline.reveal(id);
  }
  remember();
  model.changed();
}

function show(next) {
  view = next;
  for (const name of ['graph', 'timeline']) {
    const tab = byId(`tab-${name}`);
    tab.setAttribute('aria-selected', name === view);
    tab.tabIndex = name === view ? 0 : -1;
    byId(name).hidden = name !== view;
    byId(`${name}-tools`).hidden = name !== view;
  }
  remember();
  graph.resize();
  model.changed();
}

/** remember keeps in the address what is looked at. */
function remember() {
  const parts = new URLSearchParams();
  if (model.chosen) parts.set('run', model.id);
  if (selected !== null) parts.set('node', selected);
  if (view !== 'graph') parts.set('view', view);
  history.replaceState(null, '', parts.size ? `#${parts}` : location.pathname);
}

function header() {
  const { summary, run } = model;
  say(byId('connection'), model.connection);
  byId('connection').classList.toggle('live', model.connection === 'live');
  byId('empty').hidden = Boolean(summary);
  byId('figures').hidden = !summary;
  byId('status').hidden = !summary;
  if (!summary) return;
  const arriving = model.arriving();
  const counts = run && !arriving ? model.counts() : summary.counts;
  const done = ended(counts);
  say(byId('name'), nameOf(summary.name));
  say(byId('where'), where(summary, arriving));
  say(byId('status'), summary.status);
  byId('status').className = `badge ${classOf(summary.status)}`;
  document.title = `${summary.name}: ${summary.status}, ${done}/${summary.nodes}`;
  say(byId('done'), `${count(done)} of ${count(summary.nodes)}`);
  say(byId('elapsed-label'), summary.ended ? 'Ran for' : 'Running for');
  say(byId('elapsed'), duration((summary.ended || model.now()) - summary.began));
  remaining(summary, run);
  longest(run);
  say(byId('slow'), count(summary.slowSteps ?? 0));
  byId('slow').parentElement.hidden = !summary.slowSteps;
  byId('slow').parentElement.title = (summary.slow ?? []).map((s) => `${s.path} (${s.task}): ${duration(s.took)}`).join('\n');
  stacked(byId('bar'), counts, summary.nodes);
  byId('bar').setAttribute('aria-label', Object.entries(counts).map(([s, n]) => `${n} ${s}`).join(', '));
  failure(summary);
}

function where(summary, arriving) {
  return [
    summary.path && `in ${summary.path}`, summary.reverse && 'in reverse',
    summary.status === 'lost' && `since ${new Date(summary.last).toLocaleString()}`,
    arriving && `${count(arriving.there)} of ${count(arriving.all)} nodes have arrived …`,
  ].filter(Boolean).join(', ');
}

function remaining(summary, run) {
  byId('remaining').parentElement.hidden = Boolean(summary.ended) || !run;
  if (!run) return;
  const { remaining: left, basis, atLeast = 0, overdue } = run.forecast;
  const from = { estimates: 'By the estimates given', mean: 'By what nodes took so far' }[basis] ?? '';
  const why = overdue ? `${overdue === 1 ? '1 node takes' : `${count(overdue)} nodes take`} longer than expected` : '';
  byId('remaining').parentElement.title = [from, why].filter(Boolean).join('; ');
  if (left !== null) say(byId('remaining'), left < 1 ? 'any moment' : `about ${duration(left)}`);
  else if (atLeast >= 1) say(byId('remaining'), `at least ${duration(atLeast)}`);
  else say(byId('remaining'), overdue ? `${count(overdue)} overdue` : 'not known yet');
}

function longest(run) {
  const path = run?.path ?? [];
  byId('longest').parentElement.hidden = path.length === 0;
  byId('longest').parentElement.title = path.slice(0, 50).map((id) => run.nodes[id].name).join(' → ');
  say(byId('longest'), path.length === 1 ? '1 node' : `${count(path.length)} nodes`);
}

function failure(summary) {
  const error = summary.error ?? summary.cause;
  byId('failure').hidden = !error;
  const key = error ? `${summary.id} ${summary.status} ${error.text}` : '';
  if (key === shownError) return;
  shownError = key;
  byId('failure').open = false;
  say(byId('failure-text'), error ? `${summary.error ? '' : 'Because of: '}${error.text}` : '');
  byId('failure-chain').replaceChildren(...(error ? [chain(error)] : []));
}

function render() {
  if (model.id !== shownRun) {
    if (shownRun !== 0) {
      selected = null;
      list.reset();
    }
    shownRun = model.id;
    remember();
  }
  // What is selected may be among the nodes that have not arrived yet.
  const there = model.run?.nodes[selected] ? selected : null;
  if (model.run && !model.arriving()) selected = there;
  header();
  runs.render();
  list.render(there);
  if (view === 'graph') graph.render(there, list.matches);
  else timeline.render(there, list.matches);
  node.render(there);
}

byId('tab-graph').addEventListener('click', () => show('graph'));
byId('tab-timeline').addEventListener('click', () => show('timeline'));
document.querySelector('[role=tablist]').addEventListener('keydown', (e) => {
  if (e.key !== 'ArrowLeft' && e.key !== 'ArrowRight') return;
  show(view === 'graph' ? 'timeline' : 'graph');
  byId(`tab-${view}`).focus();
});
document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const writing = e.target.matches('input[type=search], select');
  if (e.key === 'Escape') {
    if (writing && e.target.value) list.reset();
    else pick(null);
    model.changed();
  } else if (e.key === '/' && !writing) {
    byId('search').focus();
    e.preventDefault();
  }
});

// Times go on between two changes.
setInterval(() => {
  if (model.summary && !model.summary.ended && !document.hidden) model.changed();
}, 1000);

const asked = new URLSearchParams(location.hash.slice(1));
if (asked.has('node')) selected = Number(asked.get('node'));
if (asked.get('view') === 'timeline') show('timeline');
model.onChange(render);
if (asked.has('run')) {
  shownRun = Number(asked.get('run'));
  model.look(shownRun, true);
} else {
  selected = null;
  model.connect();
}
remember();
