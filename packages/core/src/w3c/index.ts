// W3C Trace Context and Baggage, as the rest of core uses them.

export { encodeOutside } from "./percent.js";
export { type W3CPropagatorOptions, w3cPropagator } from "./propagator.js";
export { characterSet, isMadeOf, trimBlanks } from "./scan.js";
export { headerText, isRepeated } from "./text.js";
export { type InvalidTraceparentReason, parseTraceparent } from "./traceparent.js";
