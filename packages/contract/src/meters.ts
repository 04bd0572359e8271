import {
  type Attributes,
  createNoopMeter,
  type Meter,
  type MeterProvider,
} from "@opentelemetry/api";

/** Adds up counters and drops all other instruments, so that the contract needs no metrics SDK. */
export class CountingMeterProvider implements MeterProvider {
  readonly #added: { readonly name: string; readonly attributes: Attributes }[] = [];

  getMeter(): Meter {
    // The API's no-op meter is shared by the whole process, so it is inherited from and not changed.
    const meter: Meter = Object.create(createNoopMeter());
    meter.createCounter = (name) => ({
      add: (value: number, attributes?: Attributes) => {
        for (let added = 0; added < value; added++) {
          this.#added.push({ name, attributes: attributes ?? {} });
        }
      },
    });
    return meter;
  }

  /** The sum of a counter for one adapter, over all measurements that have these attributes among others. */
  count(name: string, adapterName: string, attributes: Attributes = {}): number {
    const wanted = Object.entries({ ...attributes, boundary: adapterName });
    return this.#added.filter(
      (each) =>
        each.name === name && wanted.every(([key, value]) => each.attributes[key] === value),
    ).length;
  }

  /** Lists every measurement, for a failure message. */
  toString(): string {
    return this.#added
      .map(({ name, attributes }) => `${name}${JSON.stringify(attributes)}`)
      .join(" ");
  }
}
