import { type Recording, SENDER } from "./record.js";

/** Renders the recordings as the module that testkit publishes. Its types are in `golden/index.ts`. */
export function renderModule(recordings: readonly Recording[]): string {
  return [
    "// Written by integration/src/golden/main.ts (npm run golden). Do not edit by hand.",
    "",
    "/** The headers that the peers were sent. */",
    "export const SENDER =",
    `${JSON.stringify(SENDER)};`,
    "",
    "/** The headers that the peers wrote. */",
    "export const RECORDED =",
    `${JSON.stringify(recordings, undefined, 2)} as const;`,
    "",
  ].join("\n");
}
