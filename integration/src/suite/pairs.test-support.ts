import type { Implementation, Implementations } from "../topology/roles.js";

/** Two implementations of neighbouring roles that have to meet in some system. */
interface Pair {
  readonly a: readonly [role: string, implementation: Implementation];
  readonly b: readonly [role: string, implementation: Implementation];
}

/**
 * Chooses a small set of systems in which every pair of implementations of two neighbours meets at least once. Pairs of two
 * bare neighbours are left out, because they only make one longer relay. The result is deterministic.
 *
 * @param choices - the implementations that each role can have
 * @param hops - the pairs of neighbouring roles
 */
export function coveringSet(
  choices: ReadonlyMap<string, readonly Implementation[]>,
  hops: readonly (readonly [string, string])[],
): Implementations[] {
  const open = new Set(hops.flatMap((hop) => pairsOf(hop, choices)));
  const rows: Implementations[] = [];
  for (const first of open) {
    // An earlier row has it.
    if (!open.has(first)) continue;
    const row = new Map([first.a, first.b]);
    for (const [role, offered] of choices) {
      if (!row.has(role)) row.set(role, best(role, offered, row, open, hops));
    }
    for (const pair of open) if (meets(pair, row)) open.delete(pair);
    rows.push(Object.fromEntries(row));
  }
  return rows;
}

/** The implementation that adds the most open pairs to the row. */
function best(
  role: string,
  offered: readonly Implementation[],
  row: ReadonlyMap<string, Implementation>,
  open: ReadonlySet<Pair>,
  hops: readonly (readonly [string, string])[],
): Implementation {
  const neighbours = hops
    .filter((hop) => hop.includes(role))
    .map(([from, to]) => (from === role ? to : from));
  const besideBare = neighbours.some((name) => row.get(name) === "bare");
  const score = (implementation: Implementation): number => {
    if (implementation === "bare" && besideBare) return -1;
    const tried = new Map(row).set(role, implementation);
    let met = 0;
    let possible = 0;
    for (const pair of open) {
      if (meets(pair, tried)) met++;
      else if (isIn(pair, role, implementation)) possible++;
    }
    return met + possible / 1000;
  };
  return offered.reduce((highest, implementation) =>
    score(implementation) > score(highest) ? implementation : highest,
  );
}

function pairsOf(
  [from, to]: readonly [string, string],
  choices: ReadonlyMap<string, readonly Implementation[]>,
): Pair[] {
  return (choices.get(from) ?? []).flatMap((implementation) =>
    (choices.get(to) ?? []).flatMap((other): Pair[] =>
      implementation === "bare" && other === "bare"
        ? []
        : [{ a: [from, implementation], b: [to, other] }],
    ),
  );
}

function meets({ a, b }: Pair, row: ReadonlyMap<string, Implementation>): boolean {
  return row.get(a[0]) === a[1] && row.get(b[0]) === b[1];
}

function isIn({ a, b }: Pair, role: string, implementation: Implementation): boolean {
  return [a, b].some(([name, what]) => name === role && what === implementation);
}
