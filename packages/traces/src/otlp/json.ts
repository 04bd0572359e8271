import {
  type Decoded,
  type EventBuilder,
  integerValue,
  type LinkBuilder,
  newEventBuilder,
  newLinkBuilder,
  newSpanBuilder,
  OtlpDecodeError,
  type SpanBuilder,
  SpanCollector,
} from "./span-builder.js";

/**
 * Decodes an ExportTraceServiceRequest in OTLP's JSON encoding: ids are hex (not base64, as in protobuf's own JSON
 * mapping), 64-bit integers are strings or numbers, unknown fields are skipped.
 *
 * @throws OtlpDecodeError when the bytes are not such a request.
 */
export function decodeJson(body: Uint8Array, receivedAtMs: number): Decoded {
  const collector = new SpanCollector(receivedAtMs);
  try {
    const request = object(JSON.parse(new TextDecoder().decode(body)), "the request");
    for (const resourceSpans of objects(request, "resourceSpans")) {
      readResource(resourceSpans, collector);
    }
  } catch (error) {
    if (error instanceof OtlpDecodeError) throw error;
    throw new OtlpDecodeError(`no JSON trace request: ${String(error)}`, { cause: error });
  }
  return collector.finish();
}

type JsonObject = Readonly<Record<string, unknown>>;

/** How deep the value of an attribute may nest: about what the protobuf decoder allows, at two messages a level. */
const MAX_DEPTH = 48;

function readResource(resourceSpans: JsonObject, collector: SpanCollector): void {
  const resource = Object.fromEntries(attributes(child(resourceSpans, "resource")));
  for (const scopeSpans of objects(resourceSpans, "scopeSpans")) {
    const json = child(scopeSpans, "scope");
    const scope = { name: string(json, "name"), version: string(json, "version") || undefined };
    for (const span of objects(scopeSpans, "spans")) collector.add(readSpan(span), scope, resource);
  }
}

function readSpan(json: JsonObject): SpanBuilder {
  const status = child(json, "status");
  return {
    ...newSpanBuilder(),
    traceId: string(json, "traceId").toLowerCase(),
    spanId: string(json, "spanId").toLowerCase(),
    parentSpanId: string(json, "parentSpanId").toLowerCase(),
    traceState: string(json, "traceState"),
    name: string(json, "name"),
    kind: enumeration(json, "kind"),
    startNs: nanoseconds(json, "startTimeUnixNano"),
    endNs: nanoseconds(json, "endTimeUnixNano"),
    attributes: attributes(json),
    events: objects(json, "events").map(readEvent),
    links: objects(json, "links").map(readLink),
    statusCode: enumeration(status, "code"),
    statusMessage: string(status, "message"),
    flags: flags(json),
  };
}

function readEvent(json: JsonObject): EventBuilder {
  return {
    ...newEventBuilder(),
    timeNs: nanoseconds(json, "timeUnixNano"),
    name: string(json, "name"),
    attributes: attributes(json),
  };
}

function readLink(json: JsonObject): LinkBuilder {
  return {
    ...newLinkBuilder(),
    traceId: string(json, "traceId").toLowerCase(),
    spanId: string(json, "spanId").toLowerCase(),
    traceState: string(json, "traceState"),
    attributes: attributes(json),
    flags: flags(json),
  };
}

function attributes(holder: JsonObject): [string, unknown][] {
  return entries(objects(holder, "attributes"), 0);
}

function entries(list: readonly JsonObject[], depth: number): [string, unknown][] {
  return list.map((entry) => [string(entry, "key"), anyValue(entry.value, depth)]);
}

function anyValue(value: unknown, depth: number): unknown {
  if (value === undefined || value === null) return undefined;
  if (depth > MAX_DEPTH) throw new OtlpDecodeError(`a value nests more than ${MAX_DEPTH} deep`);
  const json = object(value, "an attribute's value");
  if (typeof json.stringValue === "string") return json.stringValue;
  if (typeof json.boolValue === "boolean") return json.boolValue;
  if (json.intValue !== undefined) return integerValue(integer(json.intValue, "intValue"));
  if (json.doubleValue !== undefined) return Number(json.doubleValue);
  if (typeof json.bytesValue === "string") {
    return Uint8Array.from(Buffer.from(json.bytesValue, "base64"));
  }
  if (json.arrayValue !== undefined) {
    const array = object(json.arrayValue, "arrayValue");
    return objects(array, "values").map((item) => anyValue(item, depth + 1));
  }
  if (json.kvlistValue !== undefined) {
    const list = object(json.kvlistValue, "kvlistValue");
    return Object.fromEntries(entries(objects(list, "values"), depth + 1));
  }
  return undefined;
}

function object(value: unknown, what: string): JsonObject {
  if (!isJsonObject(value)) throw new OtlpDecodeError(`${what} is no object`);
  return value;
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function child(holder: JsonObject, name: string): JsonObject {
  const value = holder[name];
  return value === undefined || value === null ? {} : object(value, name);
}

function objects(holder: JsonObject, name: string): JsonObject[] {
  const value = holder[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new OtlpDecodeError(`${name} is no list`);
  return value.map((item: unknown) => object(item, `an item of ${name}`));
}

function string(holder: JsonObject, name: string): string {
  const value = holder[name];
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new OtlpDecodeError(`${name} is no string`);
  return value;
}

// OTLP allows only the numbers; some exporters write the names, as protobuf's JSON mapping does.
function enumeration(holder: JsonObject, name: string): number {
  const value = holder[name];
  if (typeof value === "string") return ENUM_NUMBERS.get(value) ?? 0;
  return typeof value === "number" ? value : 0;
}

const ENUM_NUMBERS: ReadonlyMap<string, number> = new Map([
  ["SPAN_KIND_INTERNAL", 1],
  ["SPAN_KIND_SERVER", 2],
  ["SPAN_KIND_CLIENT", 3],
  ["SPAN_KIND_PRODUCER", 4],
  ["SPAN_KIND_CONSUMER", 5],
  ["STATUS_CODE_OK", 1],
  ["STATUS_CODE_ERROR", 2],
]);

function flags(holder: JsonObject): number | undefined {
  const value = holder.flags;
  return value === undefined || value === null ? undefined : Number(integer(value, "flags"));
}

function nanoseconds(holder: JsonObject, name: string): bigint {
  const value = holder[name];
  if (value === undefined || value === null) return 0n;
  const time = integer(value, name);
  if (time < 0n) throw new OtlpDecodeError(`${name} is negative`);
  return time;
}

function integer(value: unknown, what: string): bigint {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (typeof value === "string" && /^-?\d{1,20}$/.test(value)) return BigInt(value);
  throw new OtlpDecodeError(`${what} is no integer`);
}
