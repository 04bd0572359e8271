import type { Scope } from "../engines/scope.js";
import { go } from "./go.js";
import { java } from "./java.js";
import type { Command, Language, Peer } from "./peer.js";
import { python } from "./python.js";

/** The peer of each language. */
export const PEERS: Readonly<Record<Language, Peer>> = { go, python, java };

/** Returns the command of a program of a peer that is built. */
export type PeerCommands = (language: Language, program: string) => Command;

/** Checks that this machine can build and run the peers of these languages. @throws everything that is missing */
export async function checkToolchains(languages: Iterable<Language>): Promise<void> {
  const found = await Promise.all(
    [...new Set(languages)].map(async (language) => {
      const missing = await PEERS[language].missingTools();
      return missing === undefined ? [] : [`the ${language} programs cannot be built: ${missing}`];
    }),
  );
  if (found.flat().length > 0) throw new Error(found.flat().join("\n"));
}

/** Builds the peers of these languages, side by side. @throws what is missing, or the output of a build that failed */
export async function buildPeers(
  languages: Iterable<Language>,
  scope: Scope,
): Promise<PeerCommands> {
  const wanted = [...new Set(languages)];
  await checkToolchains(wanted);
  const folders = await scope.parallel(
    wanted.map((language) => () => PEERS[language].build(scope)),
  );
  return (language, program) => {
    const folder = folders[wanted.indexOf(language)];
    if (folder === undefined) throw new Error(`the ${language} programs were not built`);
    return PEERS[language].command(folder, program);
  };
}
