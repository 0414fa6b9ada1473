import { checkEngine, checkExporter } from "@melange2/build";
import { MelangeCommand } from "../command.ts";
import { defaults } from "../defaults.ts";
import { discover } from "../discovery.ts";
import { exitCodes } from "../exit-code.ts";
import { optionFlag } from "../flags.ts";
import { buildHost } from "../host.ts";
import { interruptSignal } from "../interrupt.ts";
import { checkText } from "../present/check-text.ts";

/** Milliseconds after which somebody who waits is told what they wait for. */
const patience = 1000;

export default class Check extends MelangeCommand {
  static override summary = "Say what this machine lacks for each engine and each destination";
  static override description =
    "What the environment's variables say is taken into account. Exit codes: 0 the default engine can be used, 3 it cannot.";

  protected override readonly interrupt = interruptSignal();

  async run(): Promise<void> {
    await this.parse(Check);
    const { signal } = this.interrupt;
    const contributions = discover(this.config);
    const host = buildHost({ contributions, toolVersion: this.config.version, json: this.asJson, signal });
    const names = (kind: "engines" | "exporters") =>
      contributions.all.filter((one) => one.kind === kind).map(({ name }) => name);
    const engine = process.env.MELANGE2_ENGINE || defaults.engine;
    const waitingFor = new Set<string>();
    const waited = async <T>(what: string, work: Promise<T>): Promise<T> => {
      waitingFor.add(what);
      return work.finally(() => waitingFor.delete(what));
    };
    const timer = setTimeout(() => {
      if (waitingFor.size > 0) process.stderr.write(`melange2: still checking ${[...waitingFor].join(", ")}\n`);
    }, patience);
    try {
      const [engines, exporters] = await Promise.all([
        Promise.all(
          [...new Set([...names("engines"), engine])].map((name) =>
            waited(`engine ${name}`, checkEngine(name, { host, signal })),
          ),
        ),
        Promise.all(
          names("exporters").map((name) => waited(`exporter ${name}`, checkExporter(name, { host, signal }))),
        ),
      ]);
      this.print(checkText({ engines, exporters, engine, optionFlag }));
      this.result({ node: process.versions.node, engine, engines, exporters });
      const usable = engines.some(({ name, usable }) => name === engine && usable);
      process.exitCode = usable ? 0 : exitCodes.engine;
    } finally {
      clearTimeout(timer);
      this.interrupt.dispose();
    }
  }
}
