// Test pictures from a sheet (see src/data/sheet.rs): 28 × 28 each, 20 to a row.

const SIDE = 28;
const COLUMNS = 20;

/** The first `count` pictures of a sheet, in [0, 1]. */
export async function readPictures(address, count) {
  const blob = await (await fetch(address)).blob();
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const images = new Float32Array(count * SIDE * SIDE);
  for (let i = 0; i < count; i++) {
    const { data } = context.getImageData((i % COLUMNS) * SIDE, Math.floor(i / COLUMNS) * SIDE, SIDE, SIDE);
    for (let pixel = 0; pixel < SIDE * SIDE; pixel++) images[i * SIDE * SIDE + pixel] = data[4 * pixel] / 255;
  }
  return images;
}
