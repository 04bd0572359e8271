import {
  bool,
  bytes,
  double,
  enumeration,
  type Fields,
  fixed32,
  fixed64,
  int64,
  readInto,
  text,
} from "./protobuf-reader.js";
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

// Field numbers of opentelemetry/proto/{collector/trace,trace,common,resource}/v1. No official npm package has these
// messages to generate a decoder from, and the SDK's transformer only encodes them.

/**
 * Decodes an ExportTraceServiceRequest in protobuf's binary encoding.
 *
 * @throws OtlpDecodeError when the bytes are not such a request.
 */
export function decodeProtobuf(body: Uint8Array, receivedAtMs: number): Decoded {
  const collector = new SpanCollector(receivedAtMs);
  try {
    for (const resourceSpans of readInto([], body, requestFields, 0)) {
      const { resource, scopes } = readInto(
        { resource: [], scopes: [] },
        resourceSpans,
        resourceSpansFields,
        1,
      );
      const attributes = Object.fromEntries(resource);
      for (const scopeSpans of scopes) readScope(scopeSpans, attributes, collector);
    }
  } catch (error) {
    if (error instanceof OtlpDecodeError) throw error;
    throw new OtlpDecodeError(`no protobuf trace request: ${String(error)}`, { cause: error });
  }
  return collector.finish();
}

function readScope(
  message: Uint8Array,
  resource: Readonly<Record<string, unknown>>,
  collector: SpanCollector,
): void {
  const scope = { name: "", version: undefined };
  const { spans } = readInto({ scope, spans: [] }, message, scopeSpansFields, 2);
  for (const span of spans) {
    collector.add(readInto(newSpanBuilder(), span, spanFields, 3), scope, resource);
  }
}

const requestFields: Fields<Uint8Array[]> = {
  1: bytes((resourceSpans, value) => resourceSpans.push(value)),
};

const resourceSpansFields: Fields<{ resource: [string, unknown][]; scopes: Uint8Array[] }> = {
  1: bytes((target, value, depth) => {
    readInto(target.resource, value, resourceFields, depth);
  }),
  2: bytes((target, value) => target.scopes.push(value)),
};

const resourceFields: Fields<[string, unknown][]> = { 1: attribute((attributes) => attributes) };

const scopeSpansFields: Fields<{
  scope: { name: string; version: string | undefined };
  spans: Uint8Array[];
}> = {
  1: bytes((target, value, depth) => {
    readInto(target.scope, value, scopeFields, depth);
  }),
  2: bytes((target, value) => target.spans.push(value)),
};

const scopeFields: Fields<{ name: string; version: string | undefined }> = {
  1: text((scope, value) => {
    scope.name = value;
  }),
  2: text((scope, value) => {
    scope.version = value === "" ? undefined : value;
  }),
};

const spanFields: Fields<SpanBuilder> = {
  1: bytes((span, value) => {
    span.traceId = hex(value);
  }),
  2: bytes((span, value) => {
    span.spanId = hex(value);
  }),
  3: text((span, value) => {
    span.traceState = value;
  }),
  4: bytes((span, value) => {
    span.parentSpanId = hex(value);
  }),
  5: text((span, value) => {
    span.name = value;
  }),
  6: enumeration((span, value) => {
    span.kind = value;
  }),
  7: fixed64((span, value) => {
    span.startNs = value;
  }),
  8: fixed64((span, value) => {
    span.endNs = value;
  }),
  9: attribute((span) => span.attributes),
  11: bytes((span, value, depth) => {
    span.events.push(readInto(newEventBuilder(), value, eventFields, depth));
  }),
  13: bytes((span, value, depth) => {
    span.links.push(readInto(newLinkBuilder(), value, linkFields, depth));
  }),
  15: bytes((span, value, depth) => {
    readInto(span, value, statusFields, depth);
  }),
  16: fixed32((span, value) => {
    span.flags = value;
  }),
};

const statusFields: Fields<SpanBuilder> = {
  2: text((span, value) => {
    span.statusMessage = value;
  }),
  3: enumeration((span, value) => {
    span.statusCode = value;
  }),
};

const eventFields: Fields<EventBuilder> = {
  1: fixed64((event, value) => {
    event.timeNs = value;
  }),
  2: text((event, value) => {
    event.name = value;
  }),
  3: attribute((event) => event.attributes),
};

const linkFields: Fields<LinkBuilder> = {
  1: bytes((link, value) => {
    link.traceId = hex(value);
  }),
  2: bytes((link, value) => {
    link.spanId = hex(value);
  }),
  3: text((link, value) => {
    link.traceState = value;
  }),
  4: attribute((link) => link.attributes),
  6: fixed32((link, value) => {
    link.flags = value;
  }),
};

interface KeyValue {
  key: string;
  value: unknown;
}

const keyValueFields: Fields<KeyValue> = {
  1: text((entry, value) => {
    entry.key = value;
  }),
  2: bytes((entry, value, depth) => {
    entry.value = readAny(value, depth);
  }),
};

const anyValueFields: Fields<{ value: unknown }> = {
  1: text((any, value) => {
    any.value = value;
  }),
  2: bool((any, value) => {
    any.value = value;
  }),
  3: int64((any, value) => {
    any.value = integerValue(value);
  }),
  4: double((any, value) => {
    any.value = value;
  }),
  5: bytes((any, value, depth) => {
    any.value = readInto<unknown[]>([], value, arrayFields, depth);
  }),
  6: bytes((any, value, depth) => {
    any.value = Object.fromEntries(readInto([], value, listFields, depth));
  }),
  7: bytes((any, value) => {
    any.value = Uint8Array.from(value);
  }),
};

const arrayFields: Fields<unknown[]> = {
  1: bytes((values, value, depth) => values.push(readAny(value, depth))),
};

const listFields: Fields<[string, unknown][]> = { 1: attribute((entries) => entries) };

function attribute<Target>(attributesOf: (target: Target) => [string, unknown][]) {
  return bytes<Target>((target, value, depth) => {
    const entry = readInto<KeyValue>({ key: "", value: undefined }, value, keyValueFields, depth);
    attributesOf(target).push([entry.key, entry.value]);
  });
}

function readAny(message: Uint8Array, depth: number): unknown {
  return readInto<{ value: unknown }>({ value: undefined }, message, anyValueFields, depth).value;
}

function hex(id: Uint8Array): string {
  // 64 bytes are more than any valid id has; of an invalid one only the start is reported.
  return Buffer.from(id.buffer, id.byteOffset, Math.min(id.byteLength, 64)).toString("hex");
}
