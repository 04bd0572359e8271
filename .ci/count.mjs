// Adds up what the runners reported: every vitest report in <out>/reports, and every step of <out>/steps.tsv, a line
// each of exit code, seconds and title. Warns when the steps took longer than the repository's budget, and fails far
// above it. The last line is "N passed, N failed"; the exit code is 1 when anything failed, or when nothing ran.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

// The budget is what contributors can be asked to wait for; CONTRIBUTING.md states it.
const BUDGET_MINUTES = 65;
const LIMIT_MINUTES = 80;

const out = process.argv[2];
let passed = 0;
let failed = 0;
let skipped = 0;

for (const file of readdirSync(join(out, "reports"))) {
  const report = JSON.parse(readFileSync(join(out, "reports", file), "utf8"));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  for (const suite of report.testResults) {
    for (const test of suite.assertionResults) {
      if (test.status !== "passed") console.log(`${test.status}: ${test.fullName}`);
    }
    // A file that cannot be loaded has no tests to fail.
    if (suite.status === "failed" && suite.assertionResults.every((t) => t.status === "passed")) {
      failed++;
      console.log(`failed: ${suite.name}: ${suite.message}`);
    }
  }
}
let total = 0;
for (const line of readFileSync(join(out, "steps.tsv"), "utf8").trim().split("\n")) {
  const [code, seconds, title] = line.split("\t");
  total += Number(seconds);
  console.log(`${seconds.padStart(5)} s  ${title}`);
  if (code === "0") passed++;
  else {
    failed++;
    console.log(`failed step: ${title}`);
  }
}
console.log(`${String(total).padStart(5)} s  in all, of a budget of ${BUDGET_MINUTES * 60} s`);
if (total > LIMIT_MINUTES * 60) {
  failed++;
  console.log(`failed: the steps took more than ${LIMIT_MINUTES} minutes`);
} else if (total > BUDGET_MINUTES * 60) {
  console.log(`warning: over the budget; shorten a step, or give it a long form by command`);
}
// Here nothing may be left out because something was absent.
if (skipped > 0) console.log(`${skipped} skipped, counted as failed`);
failed += skipped;

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
