import type { TestProject } from "vitest/node";
import { type EngineKind, startEngines } from "../engines/index.js";
import { messageOf } from "../system/spans.js";

/** The engines that the tests get, or the reason why there are none. */
export type SuiteEngines =
  | { readonly kind: EngineKind; readonly kafkaBrokers: string[]; readonly redisUrl: string }
  | { readonly missing: string };

declare module "vitest" {
  interface ProvidedContext {
    engines: SuiteEngines;
  }
}

/** Starts the engines once for all test files, and ends them after the last. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  try {
    const engines = await startEngines({ log });
    const { kind, kafkaBrokers, redisUrl } = engines;
    project.provide("engines", { kind, kafkaBrokers, redisUrl });
    engines.failure.catch(async (error: unknown) => {
      // No test can pass any more, and each would run into its time limit.
      log(`the suite ends: ${messageOf(error)}`);
      process.exitCode = 1;
      await engines[Symbol.asyncDispose]();
      process.exit(1);
    });
    return async () => {
      await engines[Symbol.asyncDispose]();
    };
  } catch (error) {
    // Each group of tests reports the missing engines: see engines.test-support.ts.
    const missing = messageOf(error);
    log(missing);
    project.provide("engines", { missing });
    return async () => undefined;
  }
}
