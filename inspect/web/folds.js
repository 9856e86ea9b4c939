// What of a graph is drawn: each node, or folds of many.

const plainMax = 150; // nodes, up to which none are folded unless that is wanted
const foldsMax = 300; // then it is folded more
const drawnMax = 1500; // more is never drawn at once
const openMax = 60; // nodes of an open fold that are drawn
const levelsMax = 200;

/** kinds are the ways to say what a node's name begins with, from fine to coarse. */
const kinds = [
  (name) => name.replace(/\d+/g, '#'),
  (name) => /^[^\d\s./:_-]*/.exec(name)[0] + (/[\d\s./:_-]/.test(name) ? '…' : ''),
];

/** folded returns the items to draw for the nodes of a run, and its way: an item
 * is a node, or a fold with its members, or one that is open, or the rest of
 * one. open has the keys of the folds that are open. */
export function folded(nodes, way, open) {
  if (way === 'auto') way = nodes.length <= plainMax ? 'none' : 'prefix';
  if (way === 'none' && nodes.length <= drawnMax) {
    return { way, items: nodes.map((n) => ({ node: n.id, column: n.layer, members: [n.id] })) };
  }
  if (way !== 'level') {
    for (const kind of kinds) {
      const groups = by(nodes, (n) => n.layer, kind);
      if (groups.length <= foldsMax) return { way: 'prefix', items: drawn(nodes, groups, open) };
    }
  }
  const band = Math.ceil((1 + nodes.reduce((max, n) => Math.max(max, n.layer), 0)) / levelsMax);
  const groups = by(nodes, (n) => Math.floor(n.layer / band), () => '');
  groups.forEach((g) => { g.label = band === 1 ? `level ${g.column + 1}` : `levels ${g.column * band + 1}–${(g.column + 1) * band}`; });
  return { way: 'level', items: drawn(nodes, groups, open) };
}

function by(nodes, column, kind) {
  const groups = new Map();
  for (const n of nodes) {
    const label = kind(n.name);
    const key = `${column(n)} ${label}`;
    if (!groups.has(key)) groups.set(key, { key, label, column: column(n), members: [] });
    groups.get(key).members.push(n.id);
  }
  return [...groups.values()];
}

function drawn(nodes, groups, open) {
  const items = [];
  for (const g of groups) {
    if (g.members.length === 1) {
      items.push({ node: g.members[0], column: g.column, members: g.members });
    } else if (!open.has(g.key)) {
      items.push({ ...g, fold: true });
    } else {
      items.push({ ...g, fold: true, open: true, members: [], size: g.members.length });
      g.members.slice(0, openMax).forEach((id) => items.push({ node: id, column: g.column, members: [id] }));
      const rest = g.members.slice(openMax);
      if (rest.length) items.push({ ...g, label: `${rest.length} more of ${g.label}`, key: `${g.key} rest`, rest: true, fold: true, members: rest });
    }
  }
  return items;
}
