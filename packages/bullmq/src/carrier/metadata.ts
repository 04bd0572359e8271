import { type Injection, SanitizingGetter } from "@traceferry/core";

/**
 * What a job carries for us: values by lower-case key, on an object without a prototype. A stranger wrote
 * it, so a value may be anything; a key that came several times holds the list of its values.
 */
export type JobCarrier = Readonly<Record<string, unknown>>;

export const EMPTY_CARRIER: JobCarrier = Object.freeze(Object.create(null));

// More than anybody writes; the same key a million times would take a minute to collect.
const MAX_FIELDS = 100;

export const jobCarrierGetter = new SanitizingGetter<JobCarrier>({
  read: (carrier, key) => carrier[key],
  keys: (carrier) => Object.keys(carrier),
});

/**
 * Reads `opts.telemetry.metadata`, in Redis `opts.tm`, whoever wrote it: the text of a JSON object, as BullMQ
 * means it; of a list of pairs, as BullMQ for Elixir once did; the object or the list itself; dd-trace's
 * object within the object; a bare traceparent. Never throws; what carries nothing gives an empty carrier.
 *
 * Texts of any length are parsed: BullMQ has parsed the same bytes already, as part of the job's options, and
 * `SanitizingGetter` bounds each field. So a megabyte of baggage costs the baggage, and not the traceparent.
 */
export function decodeMetadata(metadata: unknown): JobCarrier {
  try {
    return carrierFrom(typeof metadata === "string" ? parseText(metadata) : metadata);
  } catch {
    // Proxies and getters, which code may put into a job's options and JSON cannot.
    return EMPTY_CARRIER;
  }
}

/**
 * Reads whatever a job's options carry: `telemetry.metadata`; `tm`, the form in which Redis keeps it and
 * workers of other languages or sandboxes of BullMQ 5 see it; or the fields at the top level of the
 * options, where the instrumentations for BullMQ 5 by AppSignal and Jennifer Moore put them. Never throws.
 */
export function decodeJobOptions(options: unknown): JobCarrier {
  try {
    const parsed = typeof options === "string" ? parseText(options) : options;
    if (!isObject(parsed)) return EMPTY_CARRIER;
    const telemetry = isObject(parsed.telemetry) ? parsed.telemetry.metadata : undefined;
    for (const metadata of [telemetry, parsed.tm]) {
      const carrier = decodeMetadata(metadata);
      if (Object.keys(carrier).length > 0) return carrier;
    }
    return carrierFrom(parsed);
  } catch {
    return EMPTY_CARRIER;
  }
}

/** The text to store: JSON of the fields, behind what else the caller's own metadata held. */
export function encodeMetadata(injection: Injection, existing?: unknown): string {
  const kept = typeof existing === "string" ? otherFields(existing, injection) : [];
  return JSON.stringify(Object.fromEntries([...kept, ...injection.fields]));
}

function otherFields(existing: string, { stale }: Injection): [string, unknown][] {
  const parsed = parseText(existing);
  if (!isObject(parsed) || Array.isArray(parsed)) return [];
  return Object.entries(parsed).filter(([key]) => !stale.includes(key.toLowerCase()));
}

function parseText(text: string): unknown {
  if (text === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    // JSON within JSON: written by senders that encode once too often.
    if (typeof value !== "string") return value;
    return /^\s*[[{]/.test(value) ? JSON.parse(value) : { traceparent: value };
  } catch {
    // A bare traceparent. What is none is told as an invalid sender rather than as a missing one.
    return { traceparent: text };
  }
}

function carrierFrom(value: unknown): JobCarrier {
  if (!isObject(value)) return EMPTY_CARRIER;
  const carrier: Record<string, unknown> = Object.create(null);
  if (Array.isArray(value)) {
    for (const pair of value.slice(0, MAX_FIELDS)) {
      if (Array.isArray(pair)) addField(carrier, pair[0], pair[1]);
    }
    return carrier;
  }
  addFields(carrier, value);
  // https://github.com/DataDog/dd-trace-js/pull/7669: W3C fields only where that style is switched on.
  const datadog = carrier._datadog;
  if (isObject(datadog) && carrier.traceparent === undefined) addFields(carrier, datadog);
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

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
