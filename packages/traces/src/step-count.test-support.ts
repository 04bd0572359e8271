import type { Span } from "./span.js";

/**
 * Counts the steps that a function takes on spans: properties of spans read, keys looked up, items iterated, and items
 * and characters given to the built-in methods of arrays and strings. Unlike a duration, the count is the same on every
 * machine. The function must not be async.
 */
export function countSteps(
  spans: readonly Span[],
  run: (spans: readonly Span[]) => unknown,
): number {
  let steps = 0;
  const counted = spans.map(
    (span) =>
      new Proxy(span, {
        get(target, key) {
          steps += 1;
          return Reflect.get(target, key);
        },
      }),
  );
  const restore: (() => void)[] = [];
  for (const [prototype, names, costOf] of METERED) {
    for (const name of names) {
      const method: unknown = Reflect.get(prototype, name);
      if (typeof method !== "function") throw new TypeError(`no built-in method ${name}`);
      const metered = function (this: Metered, ...args: unknown[]): unknown {
        steps += costOf(this);
        return Reflect.apply(method, this, args);
      };
      Reflect.set(prototype, name, metered);
      restore.push(() => Reflect.set(prototype, name, method));
    }
  }
  try {
    run(counted);
  } finally {
    for (const step of restore) step();
  }
  return steps;
}

interface Metered {
  readonly length?: number;
}

const one = (): number => 1;
const lengthOf = ({ length = 0 }: Metered): number => length;

// Methods whose cost does not depend on the length are left out: `push`, `at`, `charCodeAt`.
const METERED: readonly (readonly [object, readonly string[], (of: Metered) => number])[] = [
  [
    Array.prototype,
    "concat every fill filter find findIndex findLast flatMap forEach includes indexOf join map reduce reverse shift slice some sort splice toReversed toSorted unshift with".split(
      " ",
    ),
    lengthOf,
  ],
  [
    String.prototype,
    "includes indexOf match padEnd padStart replace replaceAll slice split substring toLowerCase trim".split(
      " ",
    ),
    lengthOf,
  ],
  [Map.prototype, ["delete", "get", "has", "set"], one],
  [Set.prototype, ["add", "delete", "has"], one],
  ...[[].values(), new Map().values(), new Set().values()].map(
    (iterator) => [Object.getPrototypeOf(iterator), ["next"], one] as const,
  ),
];
