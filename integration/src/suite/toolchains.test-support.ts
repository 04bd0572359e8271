import { beforeAll } from "vitest";
import { Scope } from "../engines/scope.js";
import { buildPeers, PEERS } from "../peers/index.js";
import type { Language } from "../peers/peer.js";
import type { Implementations } from "../topology/roles.js";

const missing = new Map<string, string>();
for (const peer of Object.values(PEERS)) {
  const what = await peer.missingTools();
  if (what !== undefined) missing.set(peer.language, what);
}

/**
 * The reason why a system of these implementations cannot run here, for the title of a skipped test. Undefined when it can,
 * and always in CI, where such a test runs and fails with that reason.
 */
export function cannotRun(implementations: Implementations): string | undefined {
  if (process.env.CI !== undefined) return undefined;
  return languagesOf(implementations)
    .flatMap((language) => missing.get(language) ?? [])
    .at(0);
}

// The time limit of a hook that builds the peers.
const BUILD_TIMEOUT_MS = 15 * 60_000;

/** Builds the peers that these systems need before the first test, outside of its time limit. */
export function buildBefore(...systems: readonly Implementations[]): void {
  const runnable = systems.filter((implementations) => cannotRun(implementations) === undefined);
  beforeAll(async () => {
    const scope = new Scope((line) => process.stderr.write(`${line}\n`), undefined);
    try {
      await buildPeers(runnable.flatMap(languagesOf), scope);
    } finally {
      await scope.end();
    }
  }, BUILD_TIMEOUT_MS);
}

function languagesOf(implementations: Implementations): Language[] {
  const used = new Set<string>(Object.values(implementations));
  return Object.values(PEERS).flatMap(({ language }) => (used.has(language) ? [language] : []));
}
