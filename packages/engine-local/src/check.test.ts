import { describe, expect, it } from "vitest";
import { type HostFacts, hostFindings } from "./check.ts";

const good: HostFacts = {
  platform: "linux",
  kernel: [6, 1],
  missingTools: [],
  foreignTools: [],
  root: false,
  subordinateIds: true,
  container: false,
  sysctl: { unprivilegedUsernsClone: "1\n", maxUserNamespaces: "15000\n", apparmorRestrictsUserns: "" },
  fileSystem: 0xef53,
  trial: "",
};
const messages = (changes: Partial<HostFacts>) =>
  hostFindings({ ...good, ...changes }).map(({ severity, message, hint }) => `${severity}: ${message} (${hint})`);

describe("what a host lacks", () => {
  it("is nothing on a good one", () => {
    expect(messages({})).toEqual([]);
    expect(messages({ root: true, subordinateIds: false })).toEqual([]);
  });

  it("is Linux, on others, and nothing else", () => {
    expect(messages({ platform: "darwin", missingTools: ["unshare"] })).toEqual([
      expect.stringMatching(/^error: .*macOS.*BuildKit/),
    ]);
    expect(messages({ platform: "win32" })).toEqual([expect.stringMatching(/^error: .*Windows.*BuildKit/)]);
  });

  it("names each missing tool with the package that brings it", () => {
    expect(messages({ missingTools: ["unshare", "tar"] })).toEqual([
      expect.stringMatching(/unshare is missing.*util-linux/),
      expect.stringMatching(/tar is missing.*GNU tar/),
    ]);
  });

  it("is GNU tar where another one is first", () => {
    expect(messages({ foreignTools: ["tar"] })).toEqual([expect.stringMatching(/tar is not GNU tar/)]);
  });

  it("is a disk that can hold an overlay's changes", () => {
    expect(messages({ fileSystem: 0x794c7630 })).toEqual([expect.stringMatching(/on overlayfs/)]);
    expect(messages({ fileSystem: 0x01021994 })).toEqual([]);
  });

  it("is a warning where one uid must do", () => {
    expect(messages({ subordinateIds: false })).toEqual([expect.stringMatching(/^warning: only one user id/)]);
  });

  const refused = "unshare: unshare failed: Operation not permitted";
  it.each<[string, Partial<HostFacts>, RegExp]>([
    ["the container", { container: true, root: true }, /--privileged/],
    ["Debian's switch", { sysctl: { ...good.sysctl, unprivilegedUsernsClone: "0\n" } }, /unprivileged_userns_clone=1/],
    ["the limit", { sysctl: { ...good.sysctl, maxUserNamespaces: "0\n" } }, /max_user_namespaces/],
    [
      "AppArmor",
      { sysctl: { ...good.sysctl, apparmorRestrictsUserns: "1\n" } },
      /apparmor_restrict_unprivileged_userns/,
    ],
    ["the kernel", { kernel: [5, 10] }, /kernel 5\.11/],
    ["what it said, where nothing is known", {}, /Operation not permitted/],
  ])("after a trial that failed, is put down to %s", (_, changes, expected) => {
    expect(messages({ ...changes, trial: refused })).toEqual([expect.stringMatching(expected)]);
  });
});
