import { defineConfig } from "vitest/config";

const root = import.meta.dirname;

// Unit tests read the sources, as the types do: nothing has to be built first. The other conditions are Vite's own.
const ssr = {
  resolve: { conditions: ["@traceferry/source", "module", "node", "development|production"] },
};

// The same tests on the older SDK line: a second install, with exactly one API, that every import is sent to.
const sdk2 = {
  find: /^@opentelemetry\/(api|core|sdk-trace|context-async-hooks)$/,
  replacement: `${root}/integration/sdk-2/node_modules/@opentelemetry/$1`,
};

// The contract of adapters measures what stays in memory.
const execArgv = ["--expose-gc"];

const unit = ["packages/*/src/**/*.test.ts"];
// These look at the repository's own files and need no engine.
const repository = ["integration/src/architecture.test.ts", "integration/src/gate.test.ts"];

// Where a folder is named, each run leaves its report there for whoever counts.
const reports = process.env.TEST_REPORTS;

// Integration tests that are not wanted this time: names of files or folders, with blanks between.
const leftOut = (process.env.TRACEFERRY_LEAVE_OUT?.split(" ") ?? []).map(
  (name) => `integration/src/${name}{.test.ts,/**}`,
);

export default defineConfig({
  test: {
    ...(reports && {
      reporters: [
        "default",
        ["json", { outputFile: `${reports}/vitest-${process.pid}-${Date.now()}.json` }],
      ],
    }),
    projects: [
      {
        ssr,
        test: { name: "unit", include: [...unit, ...repository], execArgv },
      },
      { ssr, resolve: { alias: [sdk2] }, test: { name: "sdk-2", include: unit, execArgv } },
      {
        // Integration tests read what is published: build first.
        test: {
          name: "integration",
          execArgv,
          include: ["integration/src/**/*.test.ts"],
          exclude: [...repository, ...leftOut],
          globalSetup: ["integration/src/suite/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
    coverage: { include: ["packages/*/src/**/*.ts"], exclude: ["**/*.test.ts"] },
  },
});
