import { expect, it } from "vitest";
import { escapeField } from "./mount-table.ts";

it("fstab's own characters are written as octal numbers", () => {
  expect(escapeField("/a b\tc\\d#e\n")).toBe("/a\\040b\\011c\\134d\\043e\\012");
  expect(escapeField("/plain/é-._,=")).toBe("/plain/é-._,=");
});
