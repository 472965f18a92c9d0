"""The network as a program for elsewhere: ONNX and torch.export."""
