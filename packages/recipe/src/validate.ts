import { capabilityNames, isCapability } from "@melange2/core";
import type { PackageSource, RecipeSource, StepSource } from "./schema.ts";
import type { Problems, Text } from "./source.ts";
import { closest } from "./spelling.ts";

const packageName = /^[a-zA-Z\d][a-zA-Z\d+_.-]*$/;
const version = /^\d+(\.\d+)*[a-z]?((_alpha|_beta|_pre|_rc)\d*)?((_cvs|_svn|_git|_hg|_p)\d*)?$/;
/** apk keeps each number of a version in 63 bits. */
function isTooGreat(number: string): boolean {
  const greatest = String(2n ** 63n - 1n);
  const digits = number.replace(/^0+/, "");
  return digits.length > greatest.length || (digits.length === greatest.length && digits > greatest);
}
const cpeField = /^[a-z\d][a-z\d+_.-]*$/;
const fileCapabilities = ["cap_net_bind_service", "cap_net_admin", "cap_net_raw", "cap_ipc_lock", "cap_sys_admin"];

/**
 * Checks what types cannot: names, priorities, combinations of keys. The recipe is expanded. Reports as `refusals` what melange
 * compiles and does not build.
 */
export function validateRecipe(recipe: RecipeSource, problems: Problems, refusals: Problems): void {
  validatePackage(recipe.package, problems);
  validateVersion(recipe.package.version, problems, refusals);
  validatePipeline(recipe.pipeline, problems.error);
  validateNames(recipe, problems);
  for (const word of [...recipe.capabilities.add, ...recipe.capabilities.drop]) {
    if (isCapability(word.value)) continue;
    const meant = closest(word.value.toUpperCase(), capabilityNames);
    problems.error(`there is no capability "${word.value}"`, word.place, {
      hint: meant ? `Did you mean "${meant}"?` : "Name one of Linux, such as CAP_NET_ADMIN.",
    });
  }
  for (const subpackage of recipe.subpackages) {
    validatePriorities(subpackage.dependencies, problems);
    validatePipeline(subpackage.pipeline, problems.error);
    // melange takes these combinations in tests, where they are as pointless.
    if (subpackage.test) validatePipeline(subpackage.test.pipeline, problems.warn);
  }
  if (recipe.test) validatePipeline(recipe.test.pipeline, problems.warn);
}

function validatePackage(main: PackageSource, problems: Problems): void {
  checkName(main.name, "a package", problems);
  validatePriorities(main.dependencies, problems);
  validateCpe(main, problems);
  for (const { "license-path": path } of main.copyright) {
    if (path.value.startsWith("/") || path.value.split("/").includes("..")) {
      problems.error(`license-path "${path.value}" may be neither absolute nor contain ".."`, path.place, {
        hint: "Name a file in the workspace.",
      });
    }
  }
  for (const { path, add, reason, at } of main.setcap) {
    if (reason.value === "") problems.error(`the file capabilities of "${path.value}" need a reason`, at);
    for (const [names, flags] of add) {
      for (const name of names.split(",")) {
        if (fileCapabilities.includes(name)) continue;
        problems.error(`"${name}" is no capability that a file may get`, flags.place, {
          hint: `Allowed: ${fileCapabilities.join(", ")}.`,
        });
      }
    }
  }
}

function validateVersion({ value, place }: Text, problems: Problems, refusals: Problems): void {
  if (value === "") {
    problems.error("the package has no version", place, { hint: 'Set "version" in "package".' });
  } else if (!version.test(value) || (value.match(/\d+/g) ?? []).some(isTooGreat)) {
    refusals.error(`"${value}" is no version that apk can compare`, place, {
      hint: "A version is numbers and dots, then perhaps a letter, then perhaps _alpha, _beta, _pre, _rc, _git or _p with a number: 1.2.3_rc1.",
    });
  }
}

function validateNames(recipe: RecipeSource, problems: Problems): void {
  const names = new Map<string, string>([[recipe.package.name.value, "the main package"]]);
  recipe.subpackages.forEach(({ name }, index) => {
    checkName(name, "a subpackage", problems);
    const other = names.get(name.value);
    if (other) {
      problems.error(`the subpackage name "${name.value}" is already that of ${other}`, name.place, {
        hint: "Names must be unique after ranges are expanded.",
      });
    }
    names.set(name.value, `subpackages[${index}]`);
  });
}

function checkName(name: Text, what: string, problems: Problems): void {
  if (packageName.test(name.value)) return;
  const message = name.value === "" ? `${what} has no name` : `"${name.value}" is no name for ${what}`;
  problems.error(message, name.place, {
    hint: name.value.includes("${{")
      ? "Only package.*, vars.* and range.* are known here, written without blanks inside the braces."
      : "A name begins with a letter or digit; letters, digits, +, _, . and - may follow.",
  });
}

function validatePriorities(
  dependencies: { readonly "provider-priority": Text; readonly "replaces-priority": Text },
  problems: Problems,
): void {
  for (const key of ["provider-priority", "replaces-priority"] as const) {
    const { value, place } = dependencies[key];
    if (value !== "" && !/^[-+]?\d+$/.test(value)) {
      problems.error(`${key} must be a whole number, not "${value}"`, place);
    }
  }
}

function validateCpe({ cpe }: PackageSource, problems: Problems): void {
  if ((cpe.vendor.value === "") !== (cpe.product.value === "")) {
    problems.error("a cpe has both a vendor and a product, or neither", cpe.at);
  }
  if (!["", "a", "o"].includes(cpe.part.value)) {
    problems.error(`the cpe part must be "a" (application) or "o" (operating system)`, cpe.part.place);
  }
  for (const key of [
    "vendor",
    "product",
    "edition",
    "language",
    "sw_edition",
    "target_sw",
    "target_hw",
    "other",
  ] as const) {
    const { value, place } = cpe[key];
    if (value !== "" && !cpeField.test(value)) {
      problems.error(`"${value}" cannot stand in a cpe`, place, {
        hint: "Lower-case letters, digits, +, _, . and - are allowed, the first a letter or digit.",
      });
    }
  }
}

function validatePipeline(steps: readonly StepSource[], report: Problems["error"]): void {
  for (const step of steps) {
    if (step.uses.value !== "" && step.runs.value !== "") {
      report(`a step has either uses ("${step.uses.value}") or runs`, step.at, {
        hint: "Make two steps of it.",
      });
    }
    if (step.with.size > 0 && step.uses.value === "") {
      report("with has no meaning in a step without uses", step.at, { hint: "Add uses, or remove with." });
    }
    validatePipeline(step.pipeline, report);
  }
}
