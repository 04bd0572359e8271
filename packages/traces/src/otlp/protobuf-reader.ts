import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { OtlpDecodeError } from "./span-builder.js";

/** Reads one field of a message into `target`, when the field has the wire type that is expected. */
export interface Field<Target> {
  readonly wireType: WireType;
  readonly read: (reader: BinaryReader, target: Target, depth: number) => void;
}

/** The fields of a message by their numbers; all others are skipped. */
export type Fields<Target> = Readonly<Record<number, Field<Target>>>;

/** How deep messages may nest, as in protobuf's own implementations. */
const MAX_DEPTH = 100;

/**
 * Reads a message into `target`. Unknown fields, unexpected wire types and groups are skipped.
 *
 * @throws OtlpDecodeError when messages nest too deeply, RangeError or Error when the bytes are malformed.
 */
export function readInto<Target>(
  target: Target,
  message: Uint8Array,
  fields: Fields<Target>,
  depth: number,
): Target {
  if (depth > MAX_DEPTH)
    throw new OtlpDecodeError(`more than ${MAX_DEPTH} messages inside another`);
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (field?.wireType === wireType) field.read(reader, target, depth + 1);
    else reader.skip(wireType, number);
  }
  return target;
}

/** A string field. */
export function text<Target>(set: (target: Target, value: string) => void): Field<Target> {
  return {
    wireType: WireType.LengthDelimited,
    read: (reader, target) => set(target, reader.string()),
  };
}

/** A bytes field, or an embedded message. The value is a view of the request's body. */
export function bytes<Target>(
  set: (target: Target, value: Uint8Array, depth: number) => void,
): Field<Target> {
  return {
    wireType: WireType.LengthDelimited,
    read: (reader, target, depth) => set(target, reader.bytes(), depth),
  };
}

/** A bool field. */
export function bool<Target>(set: (target: Target, value: boolean) => void): Field<Target> {
  return { wireType: WireType.Varint, read: (reader, target) => set(target, reader.bool()) };
}

/** An enum field. */
export function enumeration<Target>(set: (target: Target, value: number) => void): Field<Target> {
  return { wireType: WireType.Varint, read: (reader, target) => set(target, reader.int32()) };
}

/** An int64 field. */
export function int64<Target>(set: (target: Target, value: bigint) => void): Field<Target> {
  return {
    wireType: WireType.Varint,
    read: (reader, target) => set(target, BigInt(reader.int64())),
  };
}

/** A double field. */
export function double<Target>(set: (target: Target, value: number) => void): Field<Target> {
  return { wireType: WireType.Bit64, read: (reader, target) => set(target, reader.double()) };
}

/** A fixed64 field. */
export function fixed64<Target>(set: (target: Target, value: bigint) => void): Field<Target> {
  return {
    wireType: WireType.Bit64,
    read: (reader, target) => set(target, BigInt(reader.fixed64())),
  };
}

/** A fixed32 field. */
export function fixed32<Target>(set: (target: Target, value: number) => void): Field<Target> {
  return { wireType: WireType.Bit32, read: (reader, target) => set(target, reader.fixed32()) };
}
