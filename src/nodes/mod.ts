/**
 * Paired devices as files: nodes/paired.json and nodes/pending.json of the state folder, for operators to read and
 * edit.
 *
 * 1. A change to paired.json is noticed within a second, whether or not the file system tells of it.
 */
export { type DeviceFileParts, openDeviceFiles } from "./device-files.ts";
