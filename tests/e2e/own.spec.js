// A picture of one's own: drawn, opened, dropped, pasted.

import zlib from "node:zlib";
import { column, expect, figure, openLab, pick, pixels, query, settled, test, verdict } from "./lab.js";

const dialog = (page) => page.getByRole("dialog", { name: "A picture of your own" });
const open = (page) => page.getByRole("button", { name: "Draw or open…" }).click();
const notice = (page) => page.locator(".notice");

/** Waits until the Lab attacks an own picture. */
async function attacksOwn(page) {
  await query(page, /own=[\w-]{1000}/);
  await settled(page);
  await expect(dialog(page)).toBeHidden();
}

/** A PNG file with the grey value that `shade` gives for each pixel. */
function png(width, height, shade) {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
    const ends = [Buffer.alloc(4), Buffer.alloc(4)];
    ends[0].writeUInt32BE(data.length);
    ends[1].writeUInt32BE(crc(body));
    return Buffer.concat([ends[0], body, ends[1]]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const rows = Buffer.concat(
    Array.from({ length: height }, (_, y) => Buffer.from([0, ...Array.from({ length: width }, (_, x) => shade(x, y))])),
  );
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", zlib.deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

function crc(bytes) {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ -1) >>> 0;
}

/** A one, black on white, off the middle. */
const one = png(90, 60, (x, y) => (x >= 20 && x < 27 && y >= 8 && y < 52 ? 0 : 255));

test("a digit drawn with the mouse is attacked", async ({ page }) => {
  await openLab(page, "?data=digits");
  await open(page);
  const pad = page.getByRole("application", { name: "Drawing area" });
  const box = await pad.boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(0.5, 0.15));
  await page.mouse.down();
  await page.mouse.move(...at(0.5, 0.85), { steps: 10 });
  await page.mouse.up();
  await page.getByRole("button", { name: "Attack this drawing" }).click();
  await attacksOwn(page);
  expect(await verdict(page)).toMatch(/“\d” \(/);
});

test("a digit drawn with the keyboard alone is attacked", async ({ page }) => {
  await openLab(page, "?data=digits");
  await page.getByRole("button", { name: "Draw or open…" }).press("Enter");
  const pad = page.getByRole("application", { name: "Drawing area" });
  await pad.focus();
  for (let i = 0; i < 9; i += 1) await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Space");
  await expect(page.getByText("The pen is down")).toBeVisible();
  for (let i = 0; i < 18; i += 1) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Space");
  await expect(page.getByText("The pen is up")).toBeVisible();
  await page.getByRole("button", { name: "Attack this drawing" }).press("Enter");
  await attacksOwn(page);
  expect(await verdict(page)).toMatch(/“\d” \(/);
});

test("a picture that is opened is greyed, scaled and centred, and the Lab says so", async ({ page }) => {
  await openLab(page, "?data=digits");
  await open(page);
  await page.getByLabel(/open a picture/).setInputFiles({ name: "one.png", mimeType: "image/png", buffer: one });
  await expect(notice(page)).toContainText("centred by mass");
  await attacksOwn(page);
  // White on black, in the middle of 28 × 28 pixels.
  const mean = await figure(page, "x, the picture").locator("canvas.pixels").evaluate((source) => {
    const copy = new OffscreenCanvas(28, 28).getContext("2d", { willReadFrequently: true });
    copy.drawImage(source, 0, 0);
    const { data } = copy.getImageData(0, 0, 28, 28);
    let [mass, x, y] = [0, 0, 0];
    for (let i = 0; i < 784; i += 1) [mass, x, y] = [mass + data[4 * i], x + data[4 * i] * (i % 28), y + data[4 * i] * Math.floor(i / 28)];
    return { corner: data[0], x: x / mass, y: y / mass };
  });
  expect(mean.corner).toBeLessThan(10);
  expect(Math.abs(mean.x - 13.5)).toBeLessThan(1);
  expect(Math.abs(mean.y - 13.5)).toBeLessThan(1);
});

test("an own picture can be given its true class, and a link restores it", async ({ page, context }) => {
  await openLab(page, "?data=digits");
  await open(page);
  await page.getByLabel(/open a picture/).setInputFiles({ name: "one.png", mimeType: "image/png", buffer: one });
  await attacksOwn(page);
  await open(page);
  await pick(page, "True class of your picture", "1");
  await dialog(page).getByRole("button", { name: "Close" }).click();
  const link = await query(page, /own=.*label=1/);
  await expect(column(page).locator(".bars .truth")).toContainText("1");
  const drawn = await pixels(column(page).locator("canvas.pixels").first());
  const other = await context.newPage();
  await openLab(other, link);
  expect(await pixels(column(other).locator("canvas.pixels").first())).toBe(drawn);
  expect(await verdict(other)).toBe(await verdict(page));
});

test("a picture can be dropped or pasted anywhere on the page", async ({ page }) => {
  await openLab(page, "?data=digits");
  const hand = (kind) =>
    page.evaluate(([kind, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "one.png", { type: "image/png" }));
      const Kind = kind === "drop" ? DragEvent : ClipboardEvent;
      const named = kind === "drop" ? { dataTransfer: data } : { clipboardData: data };
      document.body.dispatchEvent(new Kind(kind, { bubbles: true, cancelable: true, ...named }));
    }, [kind, [...one]]);
  await hand("drop");
  await attacksOwn(page);
  await page.getByRole("button", { name: "Undo" }).click();
  await query(page, /picture=0/);
  await hand("paste");
  await attacksOwn(page);
});

const refused = [
  ["a text file", { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no picture at all") }, /not a picture/],
  ["a text file that calls itself PNG", { name: "notes.png", mimeType: "image/png", buffer: Buffer.from("no picture at all") }, /not a picture/],
  ["a file without a byte", { name: "empty.png", mimeType: "image/png", buffer: Buffer.alloc(0) }, /not a picture|empty/],
  ["a picture of 0 × 0 pixels", { name: "nothing.png", mimeType: "image/png", buffer: png(0, 0, () => 0) }, /not a picture|empty/],
  ["half a picture", { name: "half.png", mimeType: "image/png", buffer: one.subarray(0, 40) }, /not a picture/],
];
for (const [what, file, sentence] of refused) {
  test(`${what} gives a sentence, and the picture stays`, async ({ page }) => {
    await openLab(page, "?data=digits&picture=4&seed=5");
    const said = await verdict(page);
    await open(page);
    await page.getByLabel(/open a picture/).setInputFiles(file);
    await expect(notice(page)).toContainText(sentence);
    await dialog(page).getByRole("button", { name: "Close" }).click();
    expect(await verdict(page)).toBe(said);
    await expect(page.getByRole("button", { name: "Undo" })).toBeDisabled();
    await page.getByRole("button", { name: "Dismiss" }).click();
    await expect(notice(page)).toHaveCount(0);
  });
}

test("an empty drawing is not attacked", async ({ page }) => {
  await openLab(page);
  await open(page);
  await page.getByRole("button", { name: "Attack this drawing" }).click();
  await expect(notice(page)).toContainText("draw something first");
  await expect(dialog(page)).toBeVisible();
});
