#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_REPORT_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_REPORT_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/messaging/v1/report.grpc.pb.h"
#include "services/messaging/domain/reports.h"

namespace handrail::messaging {

// ReportService on the public listener.
class ReportHandler final : public v1::ReportService::CallbackService {
 public:
  // Both must outlive the handler.
  ReportHandler(Reports& reports, rpc::Edge& edge) : reports_(reports), edge_(edge) {}

  grpc::ServerUnaryReactor* ReportMessages(grpc::CallbackServerContext* context,
                                           const v1::ReportMessagesRequest* request,
                                           v1::ReportMessagesResponse* response) override;

 private:
  Reports& reports_;
  rpc::Edge& edge_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_REPORT_HANDLER_H_
