import { bytesOf, collect, readTar, type TarHeader, type TarInput, tarHeader, tarOf } from "@melange2/oci";
import { expect, it } from "vitest";
import { toLayerForm, toOverlayForm } from "./overlay-form.ts";

const everything = { opaque: "trusted.overlay.opaque", possible: () => true, settable: () => true };
const entries = (...headers: TarHeader[]) => readTar(bytesOf(tarOf(headers.map((header) => ({ header })))));
const directory = (name: string, xattrs = new Map<string, Uint8Array>()) =>
  tarHeader({ name, type: "directory", xattrs });

async function told(inputs: AsyncIterable<TarInput>): Promise<string[]> {
  const lines: string[] = [];
  for await (const { header, body } of inputs) {
    if (body !== undefined && !(body instanceof Uint8Array))
      await collect(body as AsyncIterable<Uint8Array>, 1e6, "body");
    lines.push(`${header.type} ${header.name}${header.linkname === "" ? "" : ` -> ${header.linkname}`}`);
  }
  return lines;
}

it("a whiteout becomes a device, an opaque mark an attribute of its directory, wherever it stands", async () => {
  const layer = entries(
    tarHeader({ name: "late/.wh..wh..opq", type: "file" }),
    directory("late"),
    tarHeader({ name: "late/.wh.gone", type: "file" }),
    tarHeader({ name: ".wh..wh.plnk", type: "directory" }),
    directory("bare"),
  );
  const made: TarHeader[] = [];
  for await (const { header } of toOverlayForm(layer, everything)) made.push(header);
  expect(made.map(({ type, name, major, minor }) => [type, name, major, minor])).toEqual([
    ["directory", "late", 0, 0],
    ["character", "late/gone", 0, 0],
    ["directory", "bare", 0, 0],
    ["directory", "late", 0, 0],
  ]);
  expect([...(made[3]?.xattrs.keys() ?? [])]).toEqual(["trusted.overlay.opaque"]);
});

it("a base brings in no marks of overlay of its own, and no name that leads out", async () => {
  const forged = directory("a", new Map([["trusted.overlay.redirect", Buffer.from("/")]]));
  for await (const { header } of toOverlayForm(entries(forged), everything)) expect(header.xattrs.size).toBe(0);
  await expect(
    told(toOverlayForm(entries(tarHeader({ name: "../x", type: "file" })), everything)),
  ).rejects.toMatchObject({
    code: "unsafe-path",
  });
});

it("a directory of overlay's becomes a layer: whiteouts, also linked ones, and opaque marks", async () => {
  const upper = entries(
    directory("."),
    directory("./d", new Map([["user.overlay.opaque", Buffer.from("y")]])),
    tarHeader({ name: "./d/gone", type: "character" }),
    tarHeader({ name: "./d/gone2", type: "hardlink", linkname: "./d/gone" }),
    tarHeader({ name: "./f", type: "file" }),
    tarHeader({ name: "./g", type: "hardlink", linkname: "./f" }),
    tarHeader({ name: "./null", type: "character", major: 1, minor: 3 }),
    tarHeader({ name: "./.wh.really", type: "file" }),
  );
  expect(await told(toLayerForm(upper))).toEqual([
    "directory .",
    "directory d",
    "file d/.wh..wh..opq",
    "file d/.wh.gone",
    "file d/.wh.gone2",
    "file f",
    "hardlink g -> f",
    "character null",
  ]);
});
