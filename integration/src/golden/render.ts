import { type Recording, SENDER } from "./record.js";

/** The recordings as the module that testkit publishes. */
export function renderModule(recordings: readonly Recording[]): string {
  return [
    "// Written by integration/src/golden/main.ts (npm run golden). Do not edit by hand.",
    'import type { GoldenHeaders, GoldenSender } from "../golden.js";',
    "",
    "export const sender: GoldenSender = ",
    `${JSON.stringify(SENDER)};`,
    "",
    "export const recorded: readonly GoldenHeaders[] = ",
    `${JSON.stringify(recordings, undefined, 2)};`,
    "",
  ].join("\n");
}
