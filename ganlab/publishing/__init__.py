"""Publishing a trained model: its weights, its generator as ONNX or an exported program, its card; and uploading it."""
