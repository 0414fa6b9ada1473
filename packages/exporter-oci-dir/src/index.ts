import { ociDir } from "./oci-dir.ts";

export default ociDir;
