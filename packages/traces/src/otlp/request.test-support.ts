import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Encodes a message of these fields. */
export function message(...fields: readonly ((writer: BinaryWriter) => void)[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const write of fields) write(writer);
  return writer.finish();
}

/** A bytes field, or an embedded message. */
export function bytes(number: number, value: Uint8Array) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.LengthDelimited).bytes(value);
  };
}

/** A string field. */
export function text(number: number, value: string) {
  return bytes(number, Buffer.from(value));
}

/** An int64, bool or enum field. */
export function varint(number: number, value: number | bigint) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.Varint).int64(value);
  };
}

/** A fixed64 field. */
export function fixed64(number: number, value: bigint) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.Bit64).fixed64(value);
  };
}

/** A fixed32 field. */
export function fixed32(number: number, value: number) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.Bit32).fixed32(value);
  };
}

/** A group, which proto3 does not have, with one field. */
export function group(number: number) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.StartGroup);
    writer.tag(1, WireType.Varint).int32(5);
    writer.tag(number, WireType.EndGroup);
  };
}

/** An encoded KeyValue whose value is encoded already. */
export function attribute(key: string, value: Uint8Array): Uint8Array {
  return message(text(1, key), bytes(2, value));
}

/** An encoded request with one resource, one scope and these spans. */
export function request(...spans: readonly Uint8Array[]): Uint8Array {
  const resource = message(bytes(1, attribute("service.name", message(text(1, "shop")))));
  const scope = message(text(1, "test-scope"));
  const scopeSpans = message(bytes(1, scope), ...spans.map((span) => bytes(2, span)));
  return message(bytes(1, message(bytes(1, resource), bytes(2, scopeSpans))));
}

/** The trace id of these spans. */
export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
/** The span id of these spans. */
export const SPAN_ID = "b7ad6b7169203331";

/** The id fields of a span. */
export function ids(traceId = TRACE_ID, spanId = SPAN_ID): ((writer: BinaryWriter) => void)[] {
  return [bytes(1, Buffer.from(traceId, "hex")), bytes(2, Buffer.from(spanId, "hex"))];
}

/** The same request in JSON; each span has these fields besides its ids. */
export function jsonRequest(...spans: readonly Readonly<Record<string, unknown>>[]): Buffer {
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] };
  const scopeSpans = [
    { spans: spans.map((span) => ({ traceId: TRACE_ID, spanId: SPAN_ID, ...span })) },
  ];
  return Buffer.from(JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }));
}
