int Run();

int main() { return Run(); }
