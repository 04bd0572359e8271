// Records the headers that the peers in other languages write: npm run golden.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startEngines } from "../engines/index.js";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import { messageOf } from "../system/spans.js";
import { type Recording, recordPeers, SENDER } from "./record.js";

const FILE = "packages/testkit/src/golden/recorded.ts";
const log = (line: string): void => void process.stderr.write(`${line}\n`);

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => interrupted.abort(new Error("interrupted")));
}

async function record(): Promise<void> {
  const { signal } = interrupted;
  await using engines = await startEngines({ log, signal });
  const recordings = await recordPeers(engines, log, signal);
  await writeFile(join(REPOSITORY_ROOT, FILE), renderModule(recordings));
  log(`written: ${FILE}, ${recordings.length} recordings`);
}

/** Renders the recordings as the module that testkit publishes. Its types are in `golden/index.ts`. */
function renderModule(recordings: readonly Recording[]): string {
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

try {
  await record();
  process.exit(0);
} catch (error) {
  log(`golden: ${messageOf(error)}`);
  process.exit(interrupted.signal.aborted ? 130 : 1);
}
