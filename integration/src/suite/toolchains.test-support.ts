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
 * Why a system made of these cannot run here, for the title of a test that is skipped; undefined when it can. In CI
 * it is never skipped: it runs, and fails with that reason.
 */
export function cannotRun(implementations: Implementations): string | undefined {
  if (process.env.CI !== undefined) return undefined;
  return languagesOf(implementations)
    .flatMap((language) => missing.get(language) ?? [])
    .at(0);
}

/** How long a hook may take that builds what is not built yet. */
const BUILD_TIMEOUT_MS = 15 * 60_000;

/** Builds the peers that these systems need before the first test, which then takes no longer than it does. */
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
