// Written by integration/src/golden/main.ts (npm run golden). Do not edit by hand.
import type { GoldenHeaders, GoldenSender } from "../golden.js";

export const sender: GoldenSender = { traceparent: "", tracestate: "", baggage: "" };

export const recorded: readonly GoldenHeaders[] = [];
