import {
  bullmq,
  exportTo,
  grpc,
  type HopTemplate,
  http,
  SpanFactory,
} from "./span-factory.test-support.js";

/** The spans of the READMEs' shop, of three services. With `isBroken` the hop to the mailer loses the trace. */
export function shopSpans(isBroken = false): SpanFactory {
  const spanFactory = new SpanFactory();
  const gateway = spanFactory.root({
    service: "gateway",
    ...http("POST", "/order").entry,
    ms: 40,
  });
  const placeOrder = withDuration(grpc("shop.v1.Orders/Place"), 30);
  const [, orders] = spanFactory.hop(gateway, "orders", placeOrder);
  const mail = withDuration(bullmq("mails", "17"), 12);
  if (!isBroken) {
    spanFactory.hop(orders, "mailer", mail);
    return spanFactory;
  }
  const attributes = { ...mail.entry.attributes, "traceferry.extraction": "missing" };
  const entry = { ...mail.entry, attributes };
  spanFactory.lostHop(orders, "mailer", { exit: mail.exit, entry });
  return spanFactory;
}

/** Stands for a user's services: they export to the endpoint of the standard variable, the last service first. */
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

function withDuration({ exit, entry }: HopTemplate, ms: number): HopTemplate {
  return { exit: { ...exit, ms: ms + 2 }, entry: { ...entry, ms } };
}
