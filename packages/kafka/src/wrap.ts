/** A method of an object that is not ours. */
export type Method = (...args: readonly unknown[]) => unknown;

/** What runs in place of a method: it gets the method as it is now, and the arguments of the call. */
export type Around = (bare: Method, args: readonly unknown[]) => unknown;

const overlays = new WeakSet<object>();

/** Whether this is traced already. */
export function isOverlay(object: object): boolean {
  return overlays.has(object);
}

/**
 * Stands for a client, with some of its methods run in our way and all else passed on: what is written, read
 * or called reaches the original, which is not changed. A client whose properties are frozen stays bare.
 */
export function overlay<Original extends object>(
  original: Original,
  ours: Readonly<Record<string, Around>>,
): Original {
  // A method of a class may need its own private fields, which a proxy has not; those of kafkajs need no `this`.
  const bind = !isPlain(original);
  const arounds = new Map<PropertyKey, Around>(Object.entries(ours));
  const made = new Map<PropertyKey, { readonly bare: Method; readonly given: Method }>();

  const stand = new Proxy(original, {
    get(target, key) {
      const bare: unknown = Reflect.get(target, key);
      if (!isMethod(bare)) return bare;
      const around = arounds.get(key);
      if ((around === undefined && !bind) || key === "constructor" || isFixed(target, key)) {
        return bare;
      }
      const known = made.get(key);
      if (known?.bare === bare) return known.given;
      const given =
        around === undefined ? bare.bind(target) : (...args: unknown[]) => around(bare, args);
      made.set(key, { bare, given });
      return given;
    },
    set: (target, key, value) => Reflect.set(target, key, value),
  });
  overlays.add(stand);
  return stand;
}

/**
 * A plain copy of what a caller gave, with some fields changed. What a class computes comes along where it is
 * named; a spread would lose it.
 */
export function copyWith(
  original: object,
  names: readonly string[],
  changed: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const copy: Record<string, unknown> = { ...original, ...changed };
  if (isPlain(original)) return copy;
  for (const name of names) {
    if (!(name in copy) && name in original) copy[name] = Reflect.get(original, name);
  }
  return copy;
}

/** Whether the patching of an OpenTelemetry instrumentation lies around a method. */
export function isPatched(method: Method): boolean {
  return Reflect.get(method, "__wrapped") === true && "__original" in method;
}

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

export function isMethod(value: unknown): value is Method {
  return typeof value === "function";
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return prototype === null || prototype === Object.prototype;
}

// A proxy must give such a property as it is.
function isFixed(target: object, key: PropertyKey): boolean {
  const own = Reflect.getOwnPropertyDescriptor(target, key);
  return own?.configurable === false && own.writable === false;
}
