import fc, { type Arbitrary } from "fast-check";
import type { Headers } from "../fixtures.test-support.js";

// Headers as they may arrive: valid, nearly valid, invalid, and of any type.

const from = (characters: string, minLength: number, maxLength = minLength) =>
  fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });
const HEX = "0123456789abcdef";
const blanks = from(" \t", 0, 2);
/** Text with any characters that may break a grammar or a transport. */
const noise = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  from(" \t\r\n\v\0\u007f\u00a0\u00e9\ud83d,;=%@-_aZ0", 0, 12),
);

const traceparent = fc
  .tuple(
    fc.oneof(fc.constant("00"), from(HEX, 2)),
    from(HEX, 32),
    from(HEX, 16),
    from(HEX, 2),
    fc.oneof({ weight: 4, arbitrary: fc.constant("") }, noise),
  )
  .map(([version, trace, parent, flags, rest]) => `${version}-${trace}-${parent}-${flags}${rest}`);

/** A member of a tracestate, without `,` and blanks around it. */
export const tracestateMember = fc
  .tuple(
    from("abz019", 1),
    from("az09_-*/@", 0, 12),
    fc.string({ unit: fc.constantFrom(...' !~aZ09;:+@\\"'), maxLength: 40 }),
    from("!~aZ09", 1),
  )
  .map(([start, key, value, end]) => `${start}${key}=${value}${end}`);

const tracestate = list(tracestateMember, 40);

/** An RFC 7230 token. */
export const token = from("!#$%&'*+-.^_`|~0aZ", 1, 8);
const octets = from("!#$%&'()*+-./09:<=>?@[]^_`aZ{|}~", 0, 10);
const property = fc
  .tuple(token, fc.option(octets))
  .map(([key, value]) => (value === null ? key : `${key}=${value}`));
const baggageMember = fc
  .tuple(token, fc.oneof(octets, noise), fc.array(fc.oneof(property, noise), { maxLength: 2 }))
  .map(([key, value, properties]) => [`${key}=${value}`, ...properties].join(";"));

const baggage = list(baggageMember, 80);

function list(member: Arbitrary<string>, maxLength: number): Arbitrary<string> {
  const padded = fc.tuple(blanks, member, blanks).map((parts) => parts.join(""));
  const one = fc.oneof(
    { weight: 40, arbitrary: padded },
    { weight: 1, arbitrary: fc.constant("") },
    { weight: 1, arbitrary: noise },
  );
  return fc.array(one, { maxLength, size: "max" }).map((members) => members.join(","));
}

/** The text as any carrier may hold it, and values that no carrier should hold. */
function value(text: Arbitrary<string>): Arbitrary<unknown> {
  const written = fc.oneof({ weight: 4, arbitrary: text }, noise);
  const one = fc.oneof(
    { weight: 3, arbitrary: written },
    written.map((some) => Buffer.from(some)),
    written.map((some) => Buffer.from(some, "latin1")),
    written.map((some) => new Uint8Array(Buffer.from(some))),
  );
  return fc.oneof(
    { weight: 6, arbitrary: one },
    { weight: 2, arbitrary: fc.array(one, { maxLength: 3 }) },
    fc.array(fc.oneof(one, fc.anything()), { maxLength: 3 }),
    fc.anything({ withBigInt: true, withTypedArray: true, withSparseArray: true }),
    fc.constantFrom(Symbol("header"), () => "header", Object("header")),
  );
}

/** The three headers of one message, each valid, invalid or missing. */
export const anyHeaders: Arbitrary<Headers> = fc.record({
  traceparent: fc.oneof({ weight: 3, arbitrary: traceparent }, value(traceparent)),
  tracestate: value(tracestate),
  baggage: value(baggage),
});
