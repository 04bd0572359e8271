import { Command } from "commander";
import { Scope } from "../engines/scope.js";
import { endOnSignal, SIGNAL_RECEIVED } from "../engines/signals.js";
import { messageOf } from "../system/spans.js";
import { POLYGLOT, ROLES } from "../topology/roles.js";
import { buildImages, imageName } from "./images.js";

const HELP = `
One that is there and made from the same files is left as it is. Needs a Docker engine, and the TypeScript built
(npm run build); --polyglot needs Go, Python, Java and Maven as well. Base images are pulled where they are not
here; integration/images/build.sh makes stand-ins for them.

Exit code: 0 when all images are there, 1 when not.`;

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<number> {
  const command = new Command()
    .name("node integration/dist/containers/build.js")
    .description("Builds the container image of every role, and prints their names.")
    .option("--polyglot", "also those in Go, Python and Java", false)
    .helpOption("--help", "show this")
    .addHelpText("after", HELP)
    .allowExcessArguments(false);
  const { polyglot } = command.parse().opts<{ readonly polyglot: boolean }>();

  const scope = new Scope(log, undefined);
  const forget = endOnSignal(() => scope.end(new Error(SIGNAL_RECEIVED)));
  try {
    const names = new Set<string>();
    for (const implementations of polyglot ? [{}, POLYGLOT] : [{}]) {
      await buildImages(implementations, scope);
      for (const role of ROLES) names.add(imageName(role, implementations[role.name] ?? "ts"));
    }
    process.stdout.write(`${[...names].join("\n")}\n`);
    return 0;
  } catch (error) {
    log(`images: ${messageOf(error)}`);
    return 1;
  } finally {
    await scope.end();
    await forget();
  }
}

process.exit(await main());
