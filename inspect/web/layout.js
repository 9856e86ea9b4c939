// Where the items of a graph go: columns for layers, from what requires nothing
// on the left, and lines that cross as little as can be had cheaply.

const width = 152;
const columnGap = 48;
const itemHeight = 30;
const lineHeight = 12; // of a line that passes a column
const gap = 10;

export const box = { width, height: itemHeight, gap: columnGap };

const dummiesMax = 4000; // beyond, long lines go straight
const sweeps = 8;

/** layout places items, each with a column, and edges [from, to] between them by
 * index. It sets x and y of the items, and returns the points that each edge
 * goes through and the size of all. */
export function layout(items, edges) {
  const columns = [];
  const vertices = items.map((item, i) => ({ item, order: i, height: itemHeight, before: [], after: [] }));
  const put = (v, column) => {
    (columns[column] ??= []).push(v);
    v.column = column;
  };
  vertices.forEach((v) => put(v, v.item.column));
  for (let i = 0; i < columns.length; i++) columns[i] ??= [];

  let room = dummiesMax;
  const routes = edges.map(([from, to]) => {
    const [a, b] = [vertices[from], vertices[to]];
    const span = b.column - a.column - 1;
    const through = [a];
    if (span > 0 && span <= room) {
      room -= span;
      for (let c = a.column + 1; c < b.column; c++) {
        const v = { item: null, order: 0, height: lineHeight, before: [], after: [] };
        put(v, c);
        through.push(v);
      }
    }
    through.push(b);
    for (let i = 1; i < through.length; i++) {
      through[i - 1].after.push(through[i]);
      through[i].before.push(through[i - 1]);
    }
    return through;
  });

  sort(columns);
  place(columns);
  let height = 0;
  for (const column of columns) for (const v of column) height = Math.max(height, v.y + v.height / 2);
  for (const v of vertices) {
    v.item.x = v.column * (width + columnGap);
    v.item.y = v.y - itemHeight / 2;
  }
  return {
    width: columns.length * (width + columnGap) - columnGap,
    height,
    routes: routes.map((through) => through.map((v) => ({ x: v.column * (width + columnGap), y: v.y, dummy: !v.item }))),
  };
}

/** sort orders each column by the mean place of the neighbours. */
function sort(columns) {
  columns.forEach((column) => column.forEach((v, i) => { v.order = i; }));
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const forward = sweep % 2 === 0;
    for (const column of forward ? columns : [...columns].reverse()) {
      const weight = new Map(column.map((v) => {
        const near = forward ? v.before : v.after;
        return [v, near.length ? near.reduce((sum, n) => sum + n.order, 0) / near.length : v.order];
      }));
      column.sort((a, b) => weight.get(a) - weight.get(b) || a.order - b.order);
      column.forEach((v, i) => { v.order = i; });
    }
  }
}

/** place gives each vertex a height near the mean of its neighbours'. */
function place(columns) {
  for (const column of columns) {
    let y = 0;
    for (const v of column) {
      v.y = y + v.height / 2;
      y += v.height + gap;
    }
    for (const v of column) v.y -= y / 2;
  }
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const forward = sweep % 2 === 0;
    for (const column of forward ? columns : [...columns].reverse()) {
      spread(column, column.map((v) => {
        const near = sweep >= sweeps - 2 ? [...v.before, ...v.after] : forward ? v.before : v.after;
        return near.length ? near.reduce((sum, n) => sum + n.y, 0) / near.length : v.y;
      }));
    }
  }
  let top = Infinity;
  for (const column of columns) for (const v of column) top = Math.min(top, v.y - v.height / 2);
  for (const column of columns) for (const v of column) v.y -= top;
}

/** spread places a column as near to what is wanted as its order and the gaps
 * allow, by least squares: neighbours that would overlap move as one block. */
function spread(column, wanted) {
  const blocks = [];
  let offset = 0;
  column.forEach((v, i) => {
    offset += v.height / 2;
    let block = { sum: wanted[i] - offset, n: 1 };
    v.offset = offset;
    offset += v.height / 2 + gap;
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).n > block.sum / block.n) {
      const other = blocks.pop();
      block = { sum: other.sum + block.sum, n: other.n + block.n };
    }
    blocks.push(block);
  });
  let i = 0;
  for (const block of blocks) {
    for (let k = 0; k < block.n; k++, i++) column[i].y = block.sum / block.n + column[i].offset;
  }
}
