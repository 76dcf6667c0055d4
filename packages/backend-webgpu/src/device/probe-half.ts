// Whether float32 beyond the range of float16 becomes an infinity when it is stored as float16, as IEEE says and WGSL leaves open: dynamic
// loss scaling finds overflow by it. Asked once per device, with a pipeline of its own; what follows from it is in program.ts.

const SOURCE = `enable f16;
@group(0) @binding(0) var<storage, read_write> io: array<u32>;
@compute @workgroup_size(1) fn main() {
  let found = vec4<f16>(vec4f(bitcast<f32>(io[0]), bitcast<f32>(io[1]), bitcast<f32>(io[2]), bitcast<f32>(io[3])));
  io[0] = bitcast<u32>(found.xy);
  io[1] = bitcast<u32>(found.zw);
}`;

/** The smallest that rounds beyond, two that are far beyond, and the largest that stays. */
const ASKED = Float32Array.of(65520, -1e6, 3e38, 65504);
const ANSWER = [0xfc007c00, 0x7bff7c00];

/** Never an error: a device that cannot answer does not overflow as it should. */
export async function halfOverflows(device: GPUDevice): Promise<boolean> {
  device.pushErrorScope('validation');
  const storage = device.createBuffer({ size: ASKED.byteLength, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  const readable = device.createBuffer({ size: 8, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  try {
    const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module: device.createShaderModule({ code: SOURCE }), entryPoint: 'main' } });
    device.queue.writeBuffer(storage, 0, ASKED);
    const commands = device.createCommandEncoder();
    const pass = commands.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: storage } }] }));
    pass.dispatchWorkgroups(1);
    pass.end();
    commands.copyBufferToBuffer(storage, 0, readable, 0, 8);
    device.queue.submit([commands.finish()]);
    await readable.mapAsync(GPUMapMode.READ);
    const found = [...new Uint32Array(readable.getMappedRange())];
    return found.every((word, index) => word === ANSWER[index]);
  } catch {
    return false;
  } finally {
    void device.popErrorScope().catch(() => null);
    storage.destroy();
    readable.destroy();
  }
}
