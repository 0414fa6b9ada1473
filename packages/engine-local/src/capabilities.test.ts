import { describe, expect, it } from "vitest";
import { boundingSet } from "./capabilities.ts";

describe("the capabilities of a step", () => {
  it("are the usual ones of a container when the recipe says nothing", () => {
    const { set, nested } = boundingSet({ add: [], drop: [] });
    expect(set.split(",")).toEqual(expect.arrayContaining(["-all", "+chown", "+setuid", "+mknod"]));
    expect(set).not.toContain("sys_admin");
    expect(nested).toBe(false);
  });

  it("lose what the recipe drops, by either spelling", () => {
    const { set } = boundingSet({ add: [], drop: ["CAP_CHOWN", "mknod"] });
    expect(set.split(",")).not.toContain("+chown");
    expect(set.split(",")).not.toContain("+mknod");
    expect(set.split(",")).toContain("+setuid");
  });

  it("count against a namespace of their own once one is more than usual", () => {
    expect(boundingSet({ add: ["CAP_SYS_ADMIN"], drop: [] })).toMatchObject({ nested: true });
    expect(boundingSet({ add: ["CAP_SYS_ADMIN"], drop: [] }).set.split(",")).toContain("+sys_admin");
    expect(boundingSet({ add: ["CAP_CHOWN"], drop: [] }).nested).toBe(false);
  });

  it("let a drop win over an add", () => {
    const bounding = boundingSet({ add: ["CAP_SYS_PTRACE"], drop: ["CAP_SYS_PTRACE"] });
    expect(bounding.nested).toBe(false);
    expect(bounding.set).not.toContain("sys_ptrace");
  });

  it("understand ALL on both sides", () => {
    expect(boundingSet({ add: [], drop: ["ALL"] }).set).toBe("-all");
    expect(boundingSet({ add: ["ALL"], drop: ["CAP_SYS_BOOT"] })).toMatchObject({
      set: "+all,-sys_boot",
      nested: true,
    });
    expect(boundingSet({ add: ["CAP_CHOWN"], drop: ["ALL"] }).set).toBe("-all,+chown");
  });
});
