import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Writes a message: a list of fields, each a number and what writes its tag and value. */
export function message(...fields: readonly ((writer: BinaryWriter) => void)[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const write of fields) write(writer);
  return writer.finish();
}

export function bytes(number: number, value: Uint8Array) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.LengthDelimited).bytes(value);
  };
}

export function text(number: number, value: string) {
  return bytes(number, Buffer.from(value));
}

export function varint(number: number, value: number | bigint) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.Varint).int64(value);
  };
}

export function fixed64(number: number, value: bigint) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.Bit64).fixed64(value);
  };
}

export function fixed32(number: number, value: number) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.Bit32).fixed32(value);
  };
}

/** A group, which proto3 cannot even declare, with a field inside. */
export function group(number: number) {
  return (writer: BinaryWriter): void => {
    writer.tag(number, WireType.StartGroup);
    writer.tag(1, WireType.Varint).int32(5);
    writer.tag(number, WireType.EndGroup);
  };
}

/** An attribute with a value that is written already. */
export function attribute(key: string, value: Uint8Array): Uint8Array {
  return message(text(1, key), bytes(2, value));
}

/** A request with one resource, one scope and these spans. */
export function request(...spans: readonly Uint8Array[]): Uint8Array {
  const resource = message(bytes(1, attribute("service.name", message(text(1, "shop")))));
  const scope = message(text(1, "test-scope"));
  const scopeSpans = message(bytes(1, scope), ...spans.map((span) => bytes(2, span)));
  return message(bytes(1, message(bytes(1, resource), bytes(2, scopeSpans))));
}

export const traceId = "0af7651916cd43dd8448eb211c80319c";
export const spanId = "b7ad6b7169203331";

/** The fields every span needs. */
export function ids(trace = traceId, span = spanId): ((writer: BinaryWriter) => void)[] {
  return [bytes(1, Buffer.from(trace, "hex")), bytes(2, Buffer.from(span, "hex"))];
}

/** The same request in JSON, with one span that has these fields besides its ids. */
export function jsonRequest(...spans: readonly Readonly<Record<string, unknown>>[]): Buffer {
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] };
  const scopeSpans = [{ spans: spans.map((span) => ({ traceId, spanId, ...span })) }];
  return Buffer.from(JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }));
}
