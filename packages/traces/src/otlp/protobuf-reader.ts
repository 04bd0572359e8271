import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { OtlpDecodeError } from "./error.js";

/** How one field of a message is read into what is being built. */
export interface Field<Target> {
  readonly wire: WireType;
  readonly read: (reader: BinaryReader, target: Target, depth: number) => void;
}

/** The fields of a message by their numbers; everything else in it is skipped. */
export type Fields<Target> = Readonly<Record<number, Field<Target>>>;

/** How deep messages may nest; protobuf's own readers stop at 100. */
const maxDepth = 100;

/** Reads a message into `target`. Unknown fields, unexpected wire types and groups are skipped. */
export function readInto<Target>(
  target: Target,
  message: Uint8Array,
  fields: Fields<Target>,
  depth: number,
): Target {
  if (depth > maxDepth) throw new OtlpDecodeError(`more than ${maxDepth} messages inside another`);
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const field = fields[number];
    if (field?.wire === wire) field.read(reader, target, depth + 1);
    else reader.skip(wire, number);
  }
  return target;
}

export function text<Target>(set: (target: Target, value: string) => void): Field<Target> {
  return { wire: WireType.LengthDelimited, read: (reader, target) => set(target, reader.string()) };
}

/** Bytes, a message inside this one included. The value is a view on the request's body. */
export function bytes<Target>(
  set: (target: Target, value: Uint8Array, depth: number) => void,
): Field<Target> {
  return {
    wire: WireType.LengthDelimited,
    read: (reader, target, depth) => set(target, reader.bytes(), depth),
  };
}

export function bool<Target>(set: (target: Target, value: boolean) => void): Field<Target> {
  return { wire: WireType.Varint, read: (reader, target) => set(target, reader.bool()) };
}

export function enumeration<Target>(set: (target: Target, value: number) => void): Field<Target> {
  return { wire: WireType.Varint, read: (reader, target) => set(target, reader.int32()) };
}

export function int64<Target>(set: (target: Target, value: bigint) => void): Field<Target> {
  return { wire: WireType.Varint, read: (reader, target) => set(target, BigInt(reader.int64())) };
}

export function double<Target>(set: (target: Target, value: number) => void): Field<Target> {
  return { wire: WireType.Bit64, read: (reader, target) => set(target, reader.double()) };
}

export function fixed64<Target>(set: (target: Target, value: bigint) => void): Field<Target> {
  return { wire: WireType.Bit64, read: (reader, target) => set(target, BigInt(reader.fixed64())) };
}

export function fixed32<Target>(set: (target: Target, value: number) => void): Field<Target> {
  return { wire: WireType.Bit32, read: (reader, target) => set(target, reader.fixed32()) };
}
