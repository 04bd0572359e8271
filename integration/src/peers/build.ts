// Builds the programs in other languages: npm run peers.
import { Argument, Command } from "commander";
import { Scope } from "../engines/scope.js";
import { endOnSignal } from "../engines/signals.js";
import { messageOf } from "../system/spans.js";
import { buildPeers, PEERS } from "./index.js";
import type { Language } from "./peer.js";

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const languages = Object.values(PEERS).map(({ language }) => language);

const command = new Command()
  .name("npm run peers --")
  .description(
    "Builds the roles in Go, Python and Java into the cache. The demo and the suite do it themselves where they need\n" +
      "them; what is built and unchanged is not built again.",
  )
  .addArgument(new Argument("[language...]", "which of them; all by default").choices(languages))
  .parse();

const wanted = languages.filter(
  (language: Language) => command.args.length === 0 || command.args.includes(language),
);
const scope = new Scope(log, undefined);
const forget = endOnSignal(() => scope.end(new Error("interrupted")));
const began = Date.now();
let code = 0;
try {
  await buildPeers(wanted, scope);
  log(`peers: ${wanted.join(", ")} ready after ${((Date.now() - began) / 1000).toFixed(0)} s`);
} catch (error) {
  log(`peers: ${messageOf(error)}`);
  code = 1;
}
await scope.end();
await forget();
process.exit(code);
