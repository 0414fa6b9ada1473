import { deliverArchive } from "./deliver-archive.ts";
import { MelangeError } from "./error.ts";
import type { ExportContext, FailureNames } from "./exporter.ts";
import { imageName } from "./image-name.ts";

/** What only a host knows of an {@link ExportContext}; the rest is the same everywhere. */
export type ExportHost = Pick<ExportContext, "cwd" | "env" | "runtimes" | "stdout" | "package" | "version" | "arch">;

/** The context that a host hands to exporters. */
export function exportContext(host: ExportHost): ExportContext {
  const fill = (template: string, failure?: FailureNames) => fillTemplate(template, host, failure);
  return {
    ...host,
    fill,
    imageName: (template, failure) => imageName(template, (placeholder) => fill(placeholder, failure)),
    deliverArchive,
    error: (code, message, details) => new MelangeError(code, message, details),
  };
}

const placeholders = ["package", "version", "arch", "step", "build"] as const;

function fillTemplate(
  template: string,
  subject: Pick<ExportHost, "package" | "version" | "arch">,
  failure: FailureNames | undefined,
): string {
  const values: Readonly<Partial<Record<string, string>>> = {
    package: subject.package,
    version: subject.version,
    arch: subject.arch,
    ...failure,
  };
  return template.replace(/\{([^{}]*)\}/g, (whole, name: string) => {
    if (!(placeholders as readonly string[]).includes(name)) {
      throw new MelangeError("usage", `"${template}": ${whole} is not known`, {
        hint: `There is: ${placeholders.map((one) => `{${one}}`).join(" ")}`,
      });
    }
    return values[name] ?? whole;
  });
}
