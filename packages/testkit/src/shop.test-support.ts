import {
  bullmq,
  exportTo,
  grpc,
  type HopTemplate,
  http,
  SpanFactory,
} from "../../traces/src/span-factory.test-support.js";

/** The shop of the README: what its three services would export. `isBroken` loses the trace on its queue. */
export function shopSpans(isBroken = false): SpanFactory {
  const spanFactory = new SpanFactory();
  const gateway = spanFactory.root({ service: "gateway", ...http("POST", "/order").entry, ms: 40 });
  const [, orders] = spanFactory.hop(gateway, "orders", lasting(grpc("shop.v1.Orders/Place"), 30));
  const mails = lasting(bullmq("mails", "17"), 12);
  if (!isBroken) {
    spanFactory.hop(orders, "mailer", mails);
    return spanFactory;
  }
  const attributes = { ...mails.entry.attributes, "traceferry.extraction": "missing" };
  spanFactory.lostHop(orders, "mailer", {
    exit: mails.exit,
    entry: { ...mails.entry, attributes },
  });
  return spanFactory;
}

/** Stands for the services of a user: they export to where the standard variable says, the last one first. */
export async function startShop(environment: { readonly OTEL_EXPORTER_OTLP_ENDPOINT: string }) {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = environment;
  return {
    async order(_what: string): Promise<void> {
      const { spans } = shopSpans();
      for (const service of ["mailer", "orders", "gateway"]) {
        await exportTo(endpoint, ...spans.filter((span) => span.service === service));
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function lasting({ exit, entry }: HopTemplate, ms: number): HopTemplate {
  return { exit: { ...exit, ms: ms + 2 }, entry: { ...entry, ms } };
}
