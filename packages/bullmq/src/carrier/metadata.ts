import { type Injection, SanitizingGetter } from "@traceferry/core";

/**
 * The fields of a job's metadata by lower-case key, on an object without a prototype. They are untrusted: a value
 * may have any type and size. A key that was sent several times holds the list of its values.
 */
export type JobCarrier = Readonly<Record<string, unknown>>;

/** The carrier of a job without metadata, frozen, as it is shared. */
export const EMPTY_CARRIER: JobCarrier = Object.freeze(Object.create(null));

// No sender writes as many; collecting a key that is repeated a million times would take a minute.
const MAX_FIELDS = 100;

/** Reads the fields of a carrier for any propagator. */
export const jobCarrierGetter = new SanitizingGetter<JobCarrier>({
  read: (carrier, key) => carrier[key],
  keys: (carrier) => Object.keys(carrier),
});

/**
 * Decodes `opts.telemetry.metadata`, which Redis holds as `opts.tm`. Accepts the JSON text of an object, which is
 * BullMQ's form; of a list of pairs, which BullMQ for Elixir once wrote; the object or the list itself; dd-trace's
 * `_datadog` object within the object; and a bare traceparent. Never throws; anything else gives an empty carrier.
 *
 * Texts of any length are parsed: BullMQ has already parsed the same bytes as part of the job's options, and
 * `SanitizingGetter` bounds each field. A megabyte of baggage thus loses the baggage, but not the traceparent.
 */
export function decodeMetadata(metadata: unknown): JobCarrier {
  try {
    return carrierFrom(typeof metadata === "string" ? parseText(metadata) : metadata);
  } catch {
    // Proxies and getters may throw: code can put them into a job's options, JSON cannot.
    return EMPTY_CARRIER;
  }
}

/**
 * Decodes the metadata in a job's options, or in their JSON text. The first of these that is not empty counts:
 * `telemetry.metadata`; `tm`, which is Redis's form, as workers of other languages and sandboxes of BullMQ 5 see
 * it; the fields at the top level, where the instrumentations of BullMQ 5 by AppSignal and Jennifer Moore put
 * them. Never throws; options that carry nothing give an empty carrier.
 */
export function decodeJobOptions(options: unknown): JobCarrier {
  try {
    const parsed = typeof options === "string" ? parseText(options) : options;
    if (!isRecordLike(parsed)) return EMPTY_CARRIER;
    const telemetry = isRecordLike(parsed.telemetry) ? parsed.telemetry.metadata : undefined;
    for (const metadata of [telemetry, parsed.tm]) {
      const carrier = decodeMetadata(metadata);
      if (Object.keys(carrier).length > 0) return carrier;
    }
    return carrierFrom(parsed);
  } catch {
    return EMPTY_CARRIER;
  }
}

/**
 * Encodes the injected fields as the JSON text that BullMQ stores.
 *
 * @param existing - the caller's own metadata. Other fields of a JSON object are kept, before the injected
 *   ones; fields of an earlier trace are removed.
 */
export function encodeMetadata(injection: Injection, existing?: unknown): string {
  const kept = typeof existing === "string" ? otherFields(existing, injection) : [];
  return JSON.stringify(Object.fromEntries([...kept, ...injection.fields]));
}

function otherFields(existing: string, { stale }: Injection): [string, unknown][] {
  const parsed = parseText(existing);
  if (!isRecordLike(parsed) || Array.isArray(parsed)) return [];
  return Object.entries(parsed).filter(([key]) => !stale.includes(key.toLowerCase()));
}

function parseText(text: string): unknown {
  if (text === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    // Some senders encode the JSON twice.
    if (typeof value !== "string") return value;
    return /^\s*[[{]/.test(value) ? JSON.parse(value) : { traceparent: value };
  } catch {
    // A bare traceparent. Any other text is reported as an invalid sender, not as a missing one.
    return { traceparent: text };
  }
}

function carrierFrom(value: unknown): JobCarrier {
  if (!isRecordLike(value)) return EMPTY_CARRIER;
  const carrier: Record<string, unknown> = Object.create(null);
  if (Array.isArray(value)) {
    for (const pair of value.slice(0, MAX_FIELDS)) {
      if (Array.isArray(pair)) addField(carrier, pair[0], pair[1]);
    }
    return carrier;
  }
  addFields(carrier, value);
  // dd-trace writes W3C fields only where that style is enabled: https://github.com/DataDog/dd-trace-js/pull/7669
  const datadog = carrier._datadog;
  if (isRecordLike(datadog) && carrier.traceparent === undefined) addFields(carrier, datadog);
  return carrier;
}

function addFields(carrier: Record<string, unknown>, fields: Record<string, unknown>): void {
  let count = 0;
  for (const key of Object.keys(fields)) {
    if (++count > MAX_FIELDS) return;
    addField(carrier, key, fields[key]);
  }
}

function addField(carrier: Record<string, unknown>, key: unknown, value: unknown): void {
  if (typeof key !== "string") return;
  const name = key.toLowerCase();
  carrier[name] = name in carrier ? [carrier[name], value].flat() : value;
}

/** True for an object or a list; not for functions and `null`. */
export function isRecordLike(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
