/** A method of an object that is not ours. */
export type Method = (...args: readonly unknown[]) => unknown;

/** Runs in place of a method: gets the original method, as it is at the time of the call, and the arguments. */
export type Override = (original: Method, args: readonly unknown[]) => unknown;

const proxies = new WeakSet<object>();

/** True for an object that `wrap` made: it is traced already. */
export function isWrapped(object: object): boolean {
  return proxies.has(object);
}

/**
 * Makes a proxy of a client on which some methods are overridden. Everything else that is read, written or
 * called reaches the client, which itself is not changed. Methods of a frozen client cannot be overridden.
 */
export function wrap<Client extends object>(
  client: Client,
  overrides: Readonly<Record<string, Override>>,
): Client {
  // A method of a class may need private fields, which a proxy does not have. Those of kafkajs need no `this`.
  const needsBinding = !isPlain(client);
  const overrideOf = new Map<PropertyKey, Override>(Object.entries(overrides));
  const cache = new Map<PropertyKey, { readonly original: Method; readonly wrapped: Method }>();

  const proxy = new Proxy(client, {
    get(target, key) {
      const original: unknown = Reflect.get(target, key);
      if (!isMethod(original)) return original;
      const override = overrideOf.get(key);
      if (override === undefined && !needsBinding) return original;
      if (key === "constructor" || isReadOnly(target, key)) return original;
      const cached = cache.get(key);
      if (cached?.original === original) return cached.wrapped;
      const wrapped =
        override === undefined
          ? original.bind(target)
          : (...args: unknown[]) => override(original, args);
      cache.set(key, { original, wrapped });
      return wrapped;
    },
    set: (target, key, value) => Reflect.set(target, key, value),
  });
  proxies.add(proxy);
  return proxy;
}

/**
 * Makes a plain copy of an object with some fields changed.
 *
 * @param names - fields to copy also when a getter of the object's class computes them, which a spread would lose
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

/** True for a method that an OpenTelemetry instrumentation has patched. */
export function isPatched(method: Method): boolean {
  return Reflect.get(method, "__wrapped") === true && "__original" in method;
}

/** True for an object; not for null, nor for a function. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** True for a value that can be called. */
export function isMethod(value: unknown): value is Method {
  return typeof value === "function";
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return prototype === null || prototype === Object.prototype;
}

// A proxy must return the very value of such a property, or reading it throws.
function isReadOnly(target: object, key: PropertyKey): boolean {
  const property = Reflect.getOwnPropertyDescriptor(target, key);
  return property?.configurable === false && property.writable === false;
}
